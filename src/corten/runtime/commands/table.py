"""Which subcommands there are, with their options, and how one is found and run."""

import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from corten import __version__
from corten.errors import EngineError, Invalid, Unsupported
from corten.runtime.commands import exec as exec_command
from corten.runtime.commands import inspect, lifecycle
from corten.runtime.commands import update as update_command
from corten.runtime.commands.context import Context
from corten.runtime.commands.log import Log
from corten.runtime.commands.options import Option, Parsed, parse, parse_mixed
from corten.runtime.runtime import Runtime
from corten.runtime.state import OCI_VERSION

DEFAULT_ROOT = "/run/corten-runtime"

_GLOBAL = (
    Option("root", help="directory of the containers' state"),
    Option("log", help="file to which errors are written"),
    Option("log-format", help="text or json"),
    Option("log-level", ignored=True),
    Option("cgroup-manager", help="cgroupfs or systemd"),
    Option("systemd-cgroup", value=False, help="the same as --cgroup-manager systemd"),
    Option("debug", value=False, ignored=True),
    Option("rootless", ignored=True),
    Option("criu", ignored=True),
    Option("help", "h", value=False, help="this text"),
    Option("version", "v", value=False, help="the version, and that of the OCI runtime spec"),
)
_PROCESS = (
    Option("console-socket", help="unix socket that gets the terminal's master"),
    Option("pidfd-socket", help="unix socket that gets a pidfd of the process"),
    Option("pid-file", help="file for the process' number"),
    Option("preserve-fds", help="how many fds from 3 on the process keeps"),
)
_DETACH = Option("detach", "d", value=False, help="do not wait for the process")
_CREATE = (
    *_PROCESS,
    Option("bundle", "b", help="directory of the bundle (default: the current one)"),
    Option("config", "f", help="name of the config in the bundle"),
    Option("no-pivot", value=False, help="move the root in place of pivot_root: for an initramfs"),
    Option("no-new-keyring", value=False, help="keep the session keyring"),
    Option("no-subreaper", value=False, ignored=True),
)
_EXEC = (
    *_PROCESS,
    _DETACH,
    Option("cwd", help="working directory"),
    Option("env", "e", many=True, help="NAME=VALUE"),
    Option("tty", "t", value=False, help="with a terminal"),
    Option("user", "u", help="UID[:GID]"),
    Option("additional-gids", "g", many=True, help="a further group"),
    Option("process", "p", help="file with an OCI process; it replaces all else"),
    Option("process-label", help="SELinux label"),
    Option("apparmor", help="AppArmor profile"),
    Option("no-new-privs", value=False, help="set no_new_privs"),
    Option("cap", "c", many=True, help="a further capability"),
    Option("ignore-paused", value=False, help="also in a paused container"),
)
_FORMAT = Option("format", "f", help="table or json")


class _Command(NamedTuple):
    run: Callable[[Context], int]
    usage: str
    options: tuple[Option, ...] = ()
    keeps_words: bool = False  # what follows the id is a command with options of its own


COMMANDS = {
    "create": _Command(lifecycle.create, "ID", _CREATE),
    "start": _Command(lifecycle.start, "ID"),
    "run": _Command(lifecycle.run, "ID", (*_CREATE, _DETACH, Option("keep", value=False, help="do not delete it after its exit"))),
    "state": _Command(inspect.state, "ID"),
    "kill": _Command(lifecycle.kill, "ID [SIGNAL]", (Option("all", "a", value=False, help="all its processes"),)),
    "delete": _Command(lifecycle.delete, "ID", (Option("force", "f", value=False, help="kill it first"),)),
    "exec": _Command(exec_command.execute, "ID COMMAND [ARG...]", _EXEC, keeps_words=True),
    "list": _Command(inspect.list_containers, "", (_FORMAT, Option("quiet", "q", value=False, help="ids only"))),
    "ps": _Command(inspect.ps, "ID", (_FORMAT,)),
    "pause": _Command(lifecycle.pause, "ID"),
    "resume": _Command(lifecycle.resume, "ID"),
    "update": _Command(update_command.update, "ID", update_command.OPTIONS),
    "features": _Command(inspect.features, ""),
    "spec": _Command(
        inspect.spec, "", (Option("bundle", "b", help="directory"), Option("rootless", value=False, help="for no privileges"))
    ),
}
_REFUSED = ("checkpoint", "restore", "events", "mounts")


def run_line(words: list[str]) -> int:
    """Do what the line says and return the exit status; every EngineError and OSError is told and logged here."""
    log = Log("", False)
    try:
        given = parse(words, _GLOBAL)
        log = _log(given)
        return _dispatch(given, log)
    except EngineError as e:
        log.error(e.message, e.hint)
        return {"exec-not-found": 127, "exec-permission": 126}.get(e.reason, 1)
    except OSError as e:
        log.error(str(e))
        return 1


def _log(given: Parsed) -> Log:
    """The errors' place, which must be had before anything is done. Raises Invalid."""
    form = given.text("log-format", "text")
    if form not in ("text", "json"):
        raise Invalid(f"invalid log-format: {form!r}", reason="bad-arguments", hint="text or json")
    log = Log(given.text("log"), form == "json")
    log.check()
    return log


def _dispatch(given: Parsed, log: Log) -> int:
    if given.has("version"):
        sys.stdout.write(f"corten-runtime version {__version__}\nspec: {OCI_VERSION}\n")
        return 0
    if given.has("help") or not given.arguments or given.arguments[0] in ("help", "-h", "--help"):
        sys.stdout.write(_usage())
        return 0
    name, *words = given.arguments
    if name in _REFUSED:
        raise Unsupported(f"{name} is not built", reason="not-built", hint="runc and crun have it")
    if name not in COMMANDS:
        raise Invalid(f"unknown command {name!r}", reason="bad-arguments", hint="see --help")
    command = COMMANDS[name]
    options = (parse if command.keeps_words else parse_mixed)(words, (*command.options, _GLOBAL[-2]))
    if options.has("help"):
        sys.stdout.write(_command_usage(name, command))
        return 0
    return command.run(Context(_runtime(given), log, options))


def _runtime(given: Parsed) -> Runtime:
    manager = "systemd" if given.has("systemd-cgroup") else given.text("cgroup-manager", "cgroupfs")
    return Runtime(os.path.abspath(given.text("root", DEFAULT_ROOT)), manager=manager)


def _usage() -> str:
    lines = [f"  {name:<10}{command.usage}" for name, command in COMMANDS.items()]
    return "\n".join(["corten-runtime [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]", "", "Commands:", *lines, "", *_option_lines(_GLOBAL), ""])


def _command_usage(name: str, command: _Command) -> str:
    return "\n".join([f"corten-runtime {name} [OPTIONS] {command.usage}".rstrip(), "", *_option_lines(command.options), ""])


def _option_lines(options: tuple[Option, ...]) -> list[str]:
    lines = ["Options:"]
    for option in options:
        if not option.ignored:
            short = f"-{option.short}, " if option.short else "    "
            lines.append(f"  {short}--{option.name + (' VALUE' if option.value else ''):<24}{option.help}".rstrip())
    return lines
