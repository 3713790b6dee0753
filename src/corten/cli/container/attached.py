"""Being attached to a container that is started: what `run` and `start -a` do between creation and exit status."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

from corten.cli.errors import ENGINE_FAILED, Failure
from corten.cli.session import Session
from corten.cli.terminal.conversation import Conversation
from corten.cli.terminal.keys import parse_keys
from corten.http.client import Answer

OUT, ERR, IN = 1, 2, 0


class Wanted(NamedTuple):
    """Which streams, whether they are a terminal's, the user's detach keys, and whether our signals are the container's."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    detach_keys: str = ""
    sig_proxy: bool = False

    def query(self) -> dict[str, str]:
        flags = {"stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr}
        named = {"detachKeys": self.detach_keys} if self.detach_keys else {}
        return {"stream": "1", **{k: "1" for k, on in flags.items() if on}, **named}


def keys_of(text: str) -> bytes:
    """Raises Failure for a sequence that cannot be typed."""
    try:
        return parse_keys(text)
    except ValueError as error:
        raise Failure(f"invalid detach keys ({text}): {error}") from None


def check_terminal(session: Session, *, stdin: bool, tty: bool) -> None:
    """A terminal can only be passed on where there is one."""
    import os

    if stdin and tty and not os.isatty(IN):
        raise Failure("the input device is not a TTY")


def open_conversation(session: Session, container: str, wanted: Wanted) -> Conversation:
    """Attaches; nothing flows yet."""
    keys = keys_of(wanted.detach_keys) if wanted.tty and wanted.stdin else b""
    stream = session.api.hijack(f"/containers/{container}/attach", wanted.query())
    session.out.flush()
    return Conversation(stream, framed=not wanted.tty, stdin=IN if wanted.stdin else None, out=OUT, err=ERR, keys=keys)


def wait_for(session: Session, container: str, condition: str) -> Answer:
    """The engine's promise to tell the exit status. It must be asked before the start: a short-lived container is gone at once."""
    return session.api.call("POST", f"/containers/{container}/wait", {"condition": condition} if condition else None)


def exit_status(session: Session, answer: Answer) -> int:
    """What the container ended with; 125 when the engine could not tell."""
    result: dict[str, Any] = answer.json()
    if message := (result.get("Error") or {}).get("Message"):
        session.warn(f"error waiting for container: {message}")
        return ENGINE_FAILED
    return int(result["StatusCode"])


def converse(session: Session, container: str, wanted: Wanted, conversation: Conversation, start: Callable[[], None]) -> None:
    """Starts the container by `start` and stays until its output ends or the user detaches."""
    with ExitStack() as stack:
        stack.enter_context(conversation.terminal())
        if wanted.sig_proxy:
            from corten.cli.terminal.signals import forwarded

            stack.enter_context(forwarded(session.api.sibling(), container))
        conversation.start_input()
        start()
        if wanted.tty:
            stack.enter_context(sized_terminal(session, f"/containers/{container}"))
        conversation.copy_output()


def sized_terminal(session: Session, path: str) -> AbstractContextManager[None]:
    """The pty of a container or exec follows our window."""
    from corten.cli.terminal.signals import sized

    return sized(session.api.sibling(), path, OUT, lambda: session.warn("failed to resize tty, using default size"))
