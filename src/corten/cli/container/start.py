"""`start`: stopped containers run again, with -a or -i attached to this terminal."""

from corten.cli.container.attached import Wanted, check_terminal, converse, exit_status, open_conversation, wait_for
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.session import Action, Session
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import quoted


def start(session: Session, values: Values, arguments: list[str]) -> int:
    if values.on("attach") or values.on("interactive"):
        if len(arguments) > 1:
            raise Failure("you cannot start and attach multiple containers at once")
        return _attached(session, values, arguments[0])
    failed = []
    for name in arguments:
        try:
            session.api.post(f"/containers/{quoted(name)}/start")
        except (ApiError, CannotConnect) as error:
            session.warn(str(error))
            failed.append(name)
        else:
            session.say_now(name)
    if failed:
        raise Failure(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _attached(session: Session, values: Values, name: str) -> int:
    found = session.api.get(f"/containers/{quoted(name)}/json")
    container, config = str(found["Id"]), found["Config"]
    stdin = values.on("interactive") and bool(config["OpenStdin"])
    tty = bool(config["Tty"])
    check_terminal(session, stdin=stdin, tty=tty)
    keys = values.text("detach-keys") or session.config.text("detachKeys")
    wanted = Wanted(stdin, stdout=True, stderr=True, tty=tty, detach_keys=keys, sig_proxy=values.on("sig-proxy") and not tty)
    conversation = open_conversation(session, container, wanted)
    waiting = wait_for(session, container, "removed" if found["HostConfig"]["AutoRemove"] else "next-exit")
    converse(session, container, wanted, conversation, lambda: session.api.post(f"/containers/{container}/start"))
    return 0 if conversation.detached else exit_status(session, waiting)


START = Action(
    start,
    (
        Flag("attach", BOOL, "Attach stdout and stderr, and pass on signals", short="a"),
        Flag("checkpoint", STRING, "Restore from a checkpoint", refusal="Corten has no checkpoints"),
        Flag("checkpoint-dir", STRING, "Folder of checkpoints", refusal="Corten has no checkpoints"),
        Flag("detach-keys", STRING, "Keys that detach the terminal"),
        Flag("interactive", BOOL, "Attach stdin", short="i"),
        Flag("sig-proxy", BOOL, "Pass signals on to the container", default=True).hide(),
    ),
)
