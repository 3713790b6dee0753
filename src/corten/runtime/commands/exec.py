"""exec: a further process in a container."""

import json
import os

from corten.errors import Conflict, Invalid
from corten.runtime.commands.context import Context, send_pidfd, stdio, write_pid_file
from corten.runtime.commands.options import Parsed
from corten.runtime.commands.terminal import relay, send_console
from corten.runtime.config.spec import check_process
from corten.runtime.values import ProcessSpec


def execute(context: Context) -> int:
    """Answers with the process' exit status, or 0 at once with --detach."""
    options, runtime = context.options, context.runtime
    state = runtime.load(context.container_id())
    if runtime.status(state) == "paused" and not options.has("ignore-paused"):
        raise Conflict("cannot exec in a paused container (use --ignore-paused to override)", reason="paused")
    process = _process(options, state["process"])
    terminal, console_socket = bool(process.get("terminal")), options.text("console-socket")
    if terminal and options.has("detach") and not console_socket:
        raise Invalid("cannot allocate tty if runc will detach without setting console socket", reason="no-console-socket")
    started = runtime.execute(state, process, stdio(context, terminal=terminal))
    if started.console_fd is not None and console_socket:
        send_console(console_socket, started.console_fd)
    send_pidfd(options.text("pidfd-socket"), started.pidfd)
    write_pid_file(options.text("pid-file"), started.pid)
    for warning in started.warnings:
        context.log.warning(warning)
    if options.has("detach"):
        return 0
    if started.console_fd is not None and not console_socket:
        relay(started.console_fd, started.pidfd)
    status = os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1])
    return 128 - status if status < 0 else status


def _process(options: Parsed, defaults: ProcessSpec) -> ProcessSpec:
    """--process replaces all; else the container's own process, changed by the options."""
    if options.text("process"):
        with open(options.text("process"), "rb") as f:
            process: ProcessSpec = json.loads(f.read())
        check_process(process)
        return process
    if len(options.arguments) < 2:
        raise Invalid("a command, or --process, is wanted", reason="bad-arguments")
    process = {**defaults, "args": options.arguments[1:], "terminal": options.has("tty")}
    process["env"] = [*(defaults.get("env") or ()), *options.texts("env")]
    process["cwd"] = options.text("cwd", defaults.get("cwd", "/"))
    process["noNewPrivileges"] = options.has("no-new-privs") or bool(defaults.get("noNewPrivileges"))
    for name, key in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if options.text(name):
            process[key] = options.text(name)
    if options.text("user"):
        process["user"] = _user(options.text("user"))
    if options.texts("additional-gids"):
        process["user"] = {**(process.get("user") or {}), "additionalGids": [int(gid) for gid in options.texts("additional-gids")]}
    if options.texts("cap"):
        process["capabilities"] = _with_capabilities(process.get("capabilities") or {}, options.texts("cap"))
    return process


def _user(text: str) -> dict[str, int]:
    uid, _, gid = text.partition(":")
    if not uid.isdecimal() or (gid and not gid.isdecimal()):
        raise Invalid(f"--user {text!r}: UID[:GID] in numbers is wanted", reason="bad-user")
    return {"uid": int(uid), "gid": int(gid or 0)}


def _with_capabilities(sets: dict[str, list[str]], names: list[str]) -> dict[str, list[str]]:
    wanted = [name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}" for name in names]
    kinds = ("bounding", "effective", "permitted", *(("inheritable", "ambient") if sets.get("ambient") else ()))
    return {**sets, **{kind: [*(sets.get(kind) or ()), *wanted] for kind in kinds}}
