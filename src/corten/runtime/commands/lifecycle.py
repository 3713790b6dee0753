"""create, start, run, kill, delete, pause, resume."""

import os
import signal

from corten.errors import Conflict, EngineError, Invalid, NotFound
from corten.kernel.cgroup import Cgroup
from corten.kernel.process import set_child_subreaper
from corten.runtime.commands.context import Context, listen_environment, send_pidfd, stdio, write_pid_file
from corten.runtime.commands.terminal import relay, send_console
from corten.runtime.config.spec import load_spec
from corten.runtime.create import Created
from corten.runtime.state import Status
from corten.runtime.values import CreateOptions


def create(context: Context) -> int:
    """The first process stays behind, waiting; it becomes a child of whoever reaps our orphans."""
    _create(context, wait_on_socket=True)
    return 0


def start(context: Context) -> int:
    container_id = context.container_id()
    for warning in context.runtime.start(context.runtime.load(container_id)):
        context.log.warning(warning)
    return 0


def run(context: Context) -> int:
    """create and start; without --detach waits, and answers with the exit status."""
    detached = context.options.has("detach")
    if not detached:
        set_child_subreaper()
    created = _create(context, wait_on_socket=False)
    if not detached:
        _forward_signals(created.pid)
    told = len(created.warnings)
    created.start()
    for warning in created.warnings[told:]:
        context.log.warning(warning)
    if detached:
        return 0
    if created.console_fd is not None and not context.options.text("console-socket"):
        relay(created.console_fd, created.pidfd)
    status = os.waitstatus_to_exitcode(os.waitpid(created.pid, 0)[1])
    if not context.options.has("keep"):
        context.runtime.delete(created.state, force=True)
    return 128 - status if status < 0 else status


def _create(context: Context, *, wait_on_socket: bool) -> Created:
    options, bundle = context.options, context.options.text("bundle", ".")
    spec = load_spec(os.path.join(bundle, options.text("config", "config.json")))
    process = spec.get("process") or {}
    terminal, console_socket = bool(process.get("terminal")), options.text("console-socket")
    if terminal and wait_on_socket and not console_socket:
        raise Invalid("cannot allocate tty if runc will detach without setting console socket", reason="no-console-socket")
    if console_socket and not terminal:
        raise Invalid("cannot use console socket if runc will not detach or allocate tty", reason="no-terminal")
    process["env"] = [*(process.get("env") or ()), *listen_environment()]
    settings = CreateOptions(no_pivot=options.has("no-pivot"), new_keyring=not options.has("no-new-keyring"), wait_on_socket=wait_on_socket)
    io = stdio(context, terminal=terminal)
    size = process.get("consoleSize") or {}
    if size:
        io = io._replace(height=size.get("height", 0), width=size.get("width", 0))
    created = context.runtime.create(context.container_id(), spec, bundle=bundle, io=io, options=settings)
    try:
        if created.console_fd is not None and console_socket:
            send_console(console_socket, created.console_fd)
        send_pidfd(options.text("pidfd-socket"), created.pidfd)
        write_pid_file(options.text("pid-file"), created.pid)
    except (EngineError, OSError):
        created.abandon()
        raise
    for warning in created.warnings:
        context.log.warning(warning)
    return created


def _forward_signals(pid: int) -> None:
    """What can be caught goes to the container's first process, except what is about our own terminal and children."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG}:
        signal.signal(number, lambda got, _: _pass_on(pid, got))


def _pass_on(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def kill(context: Context) -> int:
    words = context.options.arguments
    state = context.runtime.load(context.container_id())
    number = parse_signal(words[1] if len(words) > 1 else "SIGTERM")
    context.runtime.kill(state, number, everyone=context.options.has("all"))
    return 0


def parse_signal(text: str) -> int:
    """`9`, `KILL`, `SIGKILL`, `RTMIN+3`; `0` only asks whether it is there."""
    name = text.upper().removeprefix("SIG")
    if name.isdecimal() and int(name) <= signal.SIGRTMAX:
        return int(name)
    first, plus, offset = name.partition("+")
    number = vars(signal).get(f"SIG{first}")
    if isinstance(number, signal.Signals) and (not plus or offset.isdecimal()):
        return int(number) + int(offset or 0)
    raise Invalid(f"unknown signal {text!r}", reason="bad-signal")


def delete(context: Context) -> int:
    container_id, force = context.container_id(), context.options.has("force")
    try:
        state = context.runtime.load(container_id)
    except NotFound:
        if force:
            return 0
        raise
    context.runtime.delete(state, force=force)
    return 0


def pause(context: Context) -> int:
    _cgroup(context, "running", "created").freeze()
    return 0


def resume(context: Context) -> int:
    _cgroup(context, "paused").thaw()
    return 0


def _cgroup(context: Context, *wanted: Status) -> Cgroup:
    """Conflict for a container in another status, in runc's words."""
    state = context.runtime.load(context.container_id())
    cgroup = context.runtime.cgroup(state)
    if cgroup is None or context.runtime.status(state) not in wanted:
        raise Conflict(f"container not {wanted[0]}", reason=f"not-{wanted[0]}")
    return cgroup
