"""`exec`: a further process in a running container."""

from contextlib import ExitStack
from typing import Any

from corten.cli.container.attached import ERR, IN, OUT, check_terminal, keys_of, sized_terminal
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.options.environment import ENV, FILES, environment
from corten.cli.session import Action, Session
from corten.cli.terminal.conversation import Conversation
from corten.cli.terminal.tty import size
from corten.client.urls import quoted


def execute(session: Session, values: Values, arguments: list[str]) -> int:
    detached, tty = values.on("detach"), values.on("tty")
    stdin = values.on("interactive") and not detached
    check_terminal(session, stdin=stdin, tty=tty)
    body = exec_body(values, arguments[1:], session.config.text("detachKeys"))
    if tty and all(size(OUT)):
        body["ConsoleSize"] = list(size(OUT))
    made = session.api.post(f"/containers/{quoted(arguments[0])}/exec", body=body)
    identity: str = made["Id"]
    start = {"Detach": detached, "Tty": tty, **({"ConsoleSize": body["ConsoleSize"]} if "ConsoleSize" in body else {})}
    if detached:
        session.api.post(f"/exec/{identity}/start", body=start)
        return 0
    _converse(session, identity, start, keys=keys_of(body["DetachKeys"]) if tty and stdin else b"", stdin=stdin)
    status = session.api.get(f"/exec/{identity}/json").get("ExitCode")
    return int(status or 0)


def exec_body(values: Values, command: list[str], configured_keys: str) -> dict[str, Any]:
    """The body of POST /containers/ID/exec. Raises Failure for a bad environment file."""
    detached = values.on("detach")
    try:
        variables = environment(values.texts("env"), values.texts("env-file"))
    except ValueError as error:
        raise Failure(str(error)) from None
    return {
        "User": values.text("user"),
        "Privileged": values.on("privileged"),
        "Tty": values.on("tty"),
        "AttachStdin": values.on("interactive") and not detached,
        "AttachStderr": not detached,
        "AttachStdout": not detached,
        "Detach": detached,
        "DetachKeys": values.text("detach-keys") or configured_keys,
        "Env": variables or None,
        "WorkingDir": values.text("workdir"),
        "Cmd": command,
    }


def _converse(session: Session, identity: str, start: dict[str, Any], *, keys: bytes, stdin: bool) -> None:
    tty = bool(start["Tty"])
    stream = session.api.hijack(f"/exec/{identity}/start", body=start)
    session.out.flush()
    conversation = Conversation(stream, framed=not tty, stdin=IN if stdin else None, out=OUT, err=ERR, keys=keys)
    with ExitStack() as stack:
        stack.enter_context(conversation.terminal())
        conversation.start_input()
        if tty:
            stack.enter_context(sized_terminal(session, f"/exec/{identity}"))
        conversation.copy_output()
    if conversation.detached:
        raise Failure("read escape sequence")


EXEC = Action(
    execute,
    (
        Flag("detach", BOOL, "Run in the background", short="d"),
        Flag("detach-keys", STRING, "Keys that detach the terminal"),
        Flag("env", ENV, "Set an environment variable", short="e"),
        Flag("env-file", FILES, "Read environment variables from a file"),
        Flag("interactive", BOOL, "Keep stdin open", short="i"),
        Flag("privileged", BOOL, "Give the command all rights of the host's root"),
        Flag("tty", BOOL, "Give it a terminal", short="t"),
        Flag("user", STRING, "User or uid, and group or gid (<name|uid>[:<group|gid>])", short="u"),
        Flag("workdir", STRING, "Working directory in the container", short="w"),
    ),
)
