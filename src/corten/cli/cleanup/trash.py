"""`trash ls`, `restore` and `empty`."""

from typing import Any

from corten.cli.cleanup.beyond import Json
from corten.cli.errors import Failure
from corten.cli.fan_out import each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, show
from corten.cli.output.units import ago, parse_rfc3339
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.urls import quoted
from corten.units import human_size

LISTING = Listing(
    "*formatter.trashContext",
    {
        "ID": Column("TRASH ID", lambda row: row["ID"]),
        "Kind": Column("KIND", lambda row: row["Kind"]),
        "Name": Column("NAME", lambda row: row["Name"]),
        "Names": Column("NAMES", lambda row: ", ".join(row.get("Names") or ())),
        "Size": Column("SIZE", lambda row: human_size(row["Size"])),
        "RemovedSince": Column("REMOVED", lambda row: ago(parse_rfc3339(row["Removed"]))),
        "Removed": Column("REMOVED AT", lambda row: row["Removed"]),
        "Expires": Column("EXPIRES", lambda row: row["Expires"][:16].replace("T", " ")),
    },
    ("ID", "Kind", "Name", "Size", "RemovedSince", "Expires"),
    "ID",
)


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    rows: list[Json] = session.api.get("/corten/trash") or []
    quiet = values.on("quiet")
    show(session, LISTING, rows, format=values.text("format"), quiet=quiet)
    return 0


def restore(session: Session, values: Values, arguments: list[str]) -> int:
    ref, *rest = arguments
    restored = session.api.post(f"/corten/trash/{quoted(ref)}/restore", {"name": rest[0]} if rest else None)
    for name in restored["Names"]:
        session.say(name)
    return 0


def empty(session: Session, values: Values, arguments: list[str]) -> int:
    what = "what you name" if arguments else "everything in the trash"
    if not values.on("force"):
        session.out.write(f"WARNING! This will delete {what} for good.\nAre you sure you want to continue? [y/N] ")
        session.out.flush()
        if session.asked().strip().lower() not in {"y", "yes"}:
            return 0
    body: dict[str, Any] = {"Ids": arguments} if arguments else {}
    report = session.api.post("/corten/trash/empty", body=body)
    for entry in report["Deleted"]:
        session.say(entry)
    session.say(f"Total reclaimed space: {human_size(report['SpaceReclaimed'])}")
    return 0


def _marking(verb: str) -> Action:
    def act(api: Api, name: str) -> None:
        api.post(f"/corten/volumes/{quoted(name)}/{verb}")

    def run(session: Session, values: Values, arguments: list[str]) -> int:
        if not all(arguments):
            raise Failure("a volume's name must not be empty")
        return each(session, arguments, act)

    return Action(run)


LS = Action(ls, (LIST_FORMAT_FLAG, Flag("quiet", BOOL, "Only ids", short="q")))
RESTORE = Action(restore)
EMPTY = Action(empty, (Flag("force", BOOL, "Do not ask", short="f"),))
PROTECT = _marking("protect")
UNPROTECT = _marking("unprotect")
