"""`rmi`: names off images, and images without names off the disk."""

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRINGS
from corten.cli.references import platform_json
from corten.cli.session import Action, Session
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import quoted


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    query: dict[str, str | list[str]] = {key: "1" for flag, key in (("force", "force"), ("no-prune", "noprune")) if values.on(flag)}
    if platforms := values.texts("platform"):
        query["platforms"] = [platform_json(p) for p in platforms]
    problems: list[str] = []
    fatal = False
    for name in arguments:
        try:
            removed = session.api.delete(f"/images/{quoted(name)}", query)
        except (ApiError, CannotConnect) as error:
            fatal = fatal or not (isinstance(error, ApiError) and error.status == 404)
            problems.append(str(error))
            continue
        for entry in removed:
            session.say(f"Deleted: {entry['Deleted']}" if entry.get("Deleted") else f"Untagged: {entry['Untagged']}")
    for problem in problems:
        session.warn(problem)
    return 1 if problems and (fatal or not values.on("force")) else 0


RM = Action(
    rm,
    (
        Flag("force", BOOL, "Even when it has several names or stopped containers use it", short="f"),
        Flag("no-prune", BOOL, "Keep parents without a name"),
        Flag("platform", STRINGS, "Only this platform of the image (os[/arch[/variant]])"),
    ),
)
