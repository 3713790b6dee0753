"""`attach`: our terminal on a running container."""

from contextlib import ExitStack
from typing import Any

from corten.cli.container.attached import OUT, Wanted, check_terminal, exit_status, open_conversation, sized_terminal, wait_for
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.session import Action, Session
from corten.client.urls import quoted


def attach(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.api.get(f"/containers/{quoted(arguments[0])}/json")
    _check_state(found["State"])
    container, config = str(found["Id"]), found["Config"]
    stdin = bool(config["OpenStdin"]) and not values.on("no-stdin")
    tty = bool(config["Tty"])
    check_terminal(session, stdin=stdin, tty=tty)
    keys = values.text("detach-keys") or session.config.text("detachKeys")
    wanted = Wanted(stdin, stdout=True, stderr=True, tty=tty, detach_keys=keys, sig_proxy=values.on("sig-proxy") and not tty)
    waiting = wait_for(session, container, "")
    conversation = open_conversation(session, container, wanted)
    with ExitStack() as stack:
        stack.enter_context(conversation.terminal())
        if wanted.sig_proxy:
            from corten.cli.terminal.signals import forwarded

            stack.enter_context(forwarded(session.api.sibling(), container))
        conversation.start_input()
        if tty:
            _redrawn(session, container, stack)
        conversation.copy_output()
    if conversation.detached:
        raise Failure("read escape sequence")
    return exit_status(session, waiting)


def _redrawn(session: Session, container: str, stack: ExitStack) -> None:
    """A program draws its screen anew when the size changes: once too big, then right."""
    from corten.cli.terminal.signals import resize

    resize(session.api.sibling(), f"/containers/{container}", OUT, by=1)
    stack.enter_context(sized_terminal(session, f"/containers/{container}"))


def _check_state(state: dict[str, Any]) -> None:
    if not state.get("Running"):
        raise Failure("You cannot attach to a stopped container, start it first")
    if state.get("Paused"):
        raise Failure("You cannot attach to a paused container, unpause it first")
    if state.get("Restarting"):
        raise Failure("You cannot attach to a restarting container, wait until it is running")


ATTACH = Action(
    attach,
    (
        Flag("detach-keys", STRING, "Keys that detach the terminal"),
        Flag("no-stdin", BOOL, "Do not attach stdin"),
        Flag("sig-proxy", BOOL, "Pass signals on to the container", default=True),
    ),
)
