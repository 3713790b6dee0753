"""`commit`, `diff` and `export`: a container's file system as an image, a list of changes, an archive."""

from collections.abc import Iterable

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, LIST, STRING
from corten.cli.output.files import write_stream
from corten.cli.references import named
from corten.cli.session import Action, Session
from corten.client.urls import quoted

KINDS = ("C", "A", "D")


def commit(session: Session, values: Values, arguments: list[str]) -> int:
    repository, tag = "", ""
    if len(arguments) == 2 and arguments[1]:
        repository, tag, _ = named(arguments[1])
    query: dict[str, str | list[str]] = {
        "container": arguments[0],
        "repo": repository,
        "tag": tag or ("latest" if repository else ""),
        "comment": values.text("message"),
        "author": values.text("author"),
    }
    if changes := values.texts("change"):
        query["changes"] = changes
    if values.on("no-pause") or not values.on("pause"):
        query["pause"] = "0"
    session.say(session.api.post("/commit", query)["Id"])
    return 0


def diff(session: Session, values: Values, arguments: list[str]) -> int:
    if not arguments[0]:
        raise Failure("Container name cannot be empty")
    changes = session.api.get(f"/containers/{quoted(arguments[0])}/changes") or ()
    session.out.write("".join(f"{KINDS[change['Kind']]} {change['Path']}\n" for change in changes))
    return 0


def export(session: Session, values: Values, arguments: list[str]) -> int:
    def pieces() -> Iterable[bytes]:
        return session.api.call("GET", f"/containers/{quoted(arguments[0])}/export").pieces()

    write_stream(session, values.text("output"), pieces, failing="failed to export container")
    return 0


COMMIT = Action(
    commit,
    (
        Flag("author", STRING, "Author", short="a"),
        Flag("change", LIST, "Dockerfile instruction to apply", short="c"),
        Flag("message", STRING, "Message that the history shows", short="m"),
        Flag("pause", BOOL, "Freeze the container meanwhile", short="p", default=True),
        Flag("no-pause", BOOL, "Do not freeze the container meanwhile").hide(),
    ),
)
DIFF = Action(diff)
EXPORT = Action(export, (Flag("output", STRING, "File to write instead of stdout", short="o"),))
