"""`run`: create, attach, wait, start, in this order, so that not even the shortest container's output or status is missed."""

from corten.cli.container.attached import OUT, Wanted, check_terminal, converse, exit_status, open_conversation, wait_for
from corten.cli.container.create import make
from corten.cli.container.create_body import Streams
from corten.cli.container.create_flags import CONTAINER_FLAGS
from corten.cli.errors import ENGINE_FAILED, NOT_EXECUTABLE, NOT_FOUND, Failure, SetupFailure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.options.quantities import DURATION
from corten.cli.session import Action, Session
from corten.cli.terminal.tty import size
from corten.client.errors import ApiError, CannotConnect
from corten.http.client import Answer

MISSING_PROGRAM = ("executable file not found", "no such file or directory", "system cannot find the file specified")
UNUSABLE_PROGRAM = ("permission denied", "is a directory")


def run(session: Session, values: Values, arguments: list[str]) -> int:
    waits = values.on("wait")
    detached = values.on("detach") or waits
    if detached and values.items("attach"):
        raise Failure(f"conflicting options: cannot specify both --attach and --{'wait' if waits else 'detach'}")
    if values.number("wait-timeout") and not waits:
        raise Failure("--wait-timeout needs --wait")
    streams = Streams(values, detached=detached)
    tty = values.on("tty")
    check_terminal(session, stdin=streams.stdin, tty=tty)
    try:
        container = make(session, values, arguments, streams, console=size(OUT) if tty else (0, 0))
    except SetupFailure:
        raise
    except Failure as failure:
        raise SetupFailure(failure.message, start_status(failure.message)) from None
    keys = values.text("detach-keys") or session.config.text("detachKeys")
    wanted = Wanted(streams.stdin, streams.stdout, streams.stderr, tty, keys, values.on("sig-proxy") and not tty)
    if waits:
        return _awaited(session, container, values.number("wait-timeout") / 1e9, removed=values.on("rm"))
    if not streams.any():
        _start(session, container, None)
        session.say(container)
        return 0
    return _attached(session, container, wanted, removed=values.on("rm"))


def _attached(session: Session, container: str, wanted: Wanted, *, removed: bool) -> int:
    conversation = open_conversation(session, container, wanted)
    waiting = wait_for(session, container, "removed" if removed else "next-exit")
    converse(session, container, wanted, conversation, lambda: _start(session, container, waiting if removed else None))
    return 0 if conversation.detached else exit_status(session, waiting)


def _awaited(session: Session, container: str, timeout: float, *, removed: bool) -> int:
    from corten.cli.container.readiness import wait_until_ready

    waiting = wait_for(session, container, "removed" if removed else "next-exit")
    _start(session, container, waiting if removed else None)
    session.say_now(container)
    return wait_until_ready(session, container, timeout=timeout, ended=lambda: exit_status(session, waiting))


def _start(session: Session, container: str, waiting: Answer | None) -> None:
    """Starts it. On failure `waiting` is read to its end: with --rm the container is gone when we are."""
    try:
        session.api.post(f"/containers/{container}/start")
    except (ApiError, CannotConnect) as error:
        if waiting is not None and isinstance(error, ApiError):
            waiting.read()
        raise SetupFailure(str(error), start_status(str(error))) from None


def start_status(message: str) -> int:
    """127: there is no such program; 126: it is none that can run; 125: anything else."""
    if any(text in message for text in MISSING_PROGRAM):
        return NOT_FOUND
    return NOT_EXECUTABLE if any(text in message for text in UNUSABLE_PROGRAM) else ENGINE_FAILED


RUN = Action(
    run,
    (
        *CONTAINER_FLAGS,
        Flag("detach", BOOL, "Run in the background and print the container's id", short="d"),
        Flag("detach-keys", STRING, "Keys that detach the terminal"),
        Flag("sig-proxy", BOOL, "Pass signals on to the container", default=True),
        Flag("wait", BOOL, "Run in the background; return when it is healthy or, without a health check, when a published port answers"),
        Flag("wait-timeout", DURATION, "Longest time that --wait may take (ms|s|m|h)"),
    ),
)
