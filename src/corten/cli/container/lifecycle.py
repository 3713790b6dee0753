"""Commands that move containers from state to state: stop, restart, kill, pause, remove, rename, wait."""

from collections.abc import Callable

from corten.cli.cleanup.beyond import FORCE_PROTECTED
from corten.cli.errors import Failure
from corten.cli.fan_out import Forgiven, each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, INT, STRING
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.errors import ApiError
from corten.client.urls import quoted

Runner = Callable[[Session, Values, list[str]], int]


def stop(session: Session, values: Values, arguments: list[str]) -> int:
    return each(session, arguments, lambda api, name: api.post(f"/containers/{quoted(name)}/stop", _ending(values)), at_once=True)


def restart(session: Session, values: Values, arguments: list[str]) -> int:
    return each(session, arguments, lambda api, name: api.post(f"/containers/{quoted(name)}/restart", _ending(values)), at_once=True)


def _ending(values: Values) -> dict[str, str]:
    query = {"signal": values.text("signal")} if values.text("signal") else {}
    return {**query, "t": str(values.number("timeout"))} if values.given("timeout") else query


def kill(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"signal": values.text("signal")} if values.text("signal") else None
    return each(session, arguments, lambda api, name: api.post(f"/containers/{quoted(name)}/kill", query))


def _simple(verb: str) -> Runner:
    """A command that POSTs to `/containers/NAME/verb`."""

    def run(session: Session, values: Values, arguments: list[str]) -> int:
        return each(session, arguments, lambda api, name: api.post(f"/containers/{quoted(name)}/{verb}"))

    return run


RM_QUERY = (("force", "force"), ("link", "link"), ("volumes", "v"), ("force-protected", "force-protected"))


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    query = {key: "1" for flag, key in RM_QUERY if values.on(flag)}

    def remove(api: Api, name: str) -> None:
        bare = name.strip("/")
        if not bare:
            raise Failure("Container name cannot be empty")
        api.delete(f"/containers/{quoted(bare)}", query)

    return each(session, arguments, remove, at_once=True, forgiven=Forgiven("No such container") if values.on("force") else None)


def rename(session: Session, values: Values, arguments: list[str]) -> int:
    old, new = (a.strip() for a in arguments)
    if not old or not new:
        raise Failure("Error: Neither old nor new names may be empty")
    try:
        session.api.post(f"/containers/{quoted(old)}/rename", {"name": new})
    except ApiError as error:
        session.warn(str(error))
        raise Failure(f"Error: failed to rename container named {old}") from None
    return 0


def wait(session: Session, values: Values, arguments: list[str]) -> int:
    def status(api: Api, name: str) -> int:
        return int(api.post(f"/containers/{quoted(name)}/wait")["StatusCode"])

    return each(session, arguments, status, shown=str)


ENDING_FLAGS = (
    Flag("signal", STRING, "Signal to send", short="s"),
    Flag("timeout", INT, "Seconds to wait after it before killing; -1 waits for ever", short="t"),
    Flag("time", INT, "").hide(alias_of="timeout"),
)
STOP = Action(stop, ENDING_FLAGS)
RESTART = Action(restart, ENDING_FLAGS)
KILL = Action(kill, (Flag("signal", STRING, "Signal to send", short="s"),))
PAUSE = Action(_simple("pause"))
UNPAUSE = Action(_simple("unpause"))
RENAME = Action(rename)
WAIT = Action(wait)
RM = Action(
    rm,
    (
        Flag("force", BOOL, "Running ones too, by SIGKILL", short="f"),
        Flag("link", BOOL, "Remove the named link", short="l"),
        Flag("volumes", BOOL, "Remove its anonymous volumes too", short="v"),
        FORCE_PROTECTED,
    ),
)
