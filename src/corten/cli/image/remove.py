"""`rmi`: names off images, and images without names off the disk."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corten.cli.cleanup.beyond import DRY_RUN, FORCE_PROTECTED, ask_dry_run, tell_dry_run
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRINGS
from corten.cli.references import platform_json
from corten.cli.session import Action, Session
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import quoted

Query = Mapping[str, str | list[str]]
Outcome = Sequence[Mapping[str, Any]] | Exception
QUERY = (("force", "force"), ("no-prune", "noprune"), ("force-protected", "force-protected"))


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    query: dict[str, str | list[str]] = {key: "1" for flag, key in QUERY if values.on(flag)}
    if platforms := values.texts("platform"):
        query["platforms"] = [platform_json(p, "") for p in platforms]
    problems: list[str] = []
    fatal = False
    outcomes = _dry_run(session, values, arguments) if values.on("dry-run") else _removed(session, query, arguments)
    for removed in outcomes:
        if isinstance(removed, Exception):
            fatal = fatal or not (isinstance(removed, ApiError) and removed.status == 404)
            problems.append(str(removed))
            continue
        for entry in removed:
            session.say(f"Deleted: {entry['Deleted']}" if entry.get("Deleted") else f"Untagged: {entry['Untagged']}")
    for problem in problems:
        session.warn(problem)
    if values.on("dry-run"):
        tell_dry_run(session)
    return 1 if problems and (fatal or not values.on("force")) else 0


def _removed(session: Session, query: Query, names: Sequence[str]) -> Iterator[Outcome]:
    for name in names:
        try:
            yield session.api.delete(f"/images/{quoted(name)}", query)
        except (ApiError, CannotConnect) as error:
            yield error


def _dry_run(session: Session, values: Values, names: Sequence[str]) -> Iterator[Outcome]:
    marks = {key: values.on(flag) for flag, key in (("force", "Force"), ("no-prune", "NoPrune"), ("force-protected", "ForceProtected"))}
    for answer in ask_dry_run(session, "images/remove", {"Images": list(names), **marks}):
        yield ApiError(answer["Status"], answer["Message"]) if answer["Message"] else answer["Removed"] or []


RM = Action(
    rm,
    (
        Flag("force", BOOL, "Even when it has several names or stopped containers use it", short="f"),
        DRY_RUN,
        FORCE_PROTECTED,
        Flag("no-prune", BOOL, "Keep parents without a name"),
        Flag("platform", STRINGS, "Only this platform of the image (os[/arch[/variant]])"),
    ),
)
