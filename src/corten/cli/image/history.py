"""`history`: the steps an image was made by."""

from collections.abc import Mapping
from typing import Any

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, show
from corten.cli.output.units import ago, ellipsis, rfc3339, short_id
from corten.cli.references import platform_json
from corten.cli.session import Action, Session
from corten.client.urls import quoted
from corten.units import human_size

EPOCH_START = "0001-01-01T00:00:00Z"
Json = Mapping[str, Any]


def history(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"platform": platform_json(values.text("platform"))} if values.text("platform") else None
    rows = session.api.get(f"/images/{quoted(arguments[0])}/history", query)
    quiet = values.on("quiet")
    listing = history_listing(whole=values.on("no-trunc"), human=values.on("human"))
    show(session, listing, rows, format=chosen(session, values.text("format"), "", quiet=quiet), quiet=quiet)
    return 0


def history_listing(*, whole: bool, human: bool) -> Listing:
    def command(row: Json) -> str:
        text = str(row["CreatedBy"]).replace("\t", " ")
        return text if whole else ellipsis(text, 45)

    columns = {
        "ID": Column("IMAGE", lambda row: row["Id"] if whole else short_id(row["Id"])),
        "CreatedAt": Column("CREATED AT", lambda row: rfc3339(row["Created"])),
        "CreatedSince": Column("CREATED", lambda row: ago(row["Created"]) if human else rfc3339(row["Created"])),
        "CreatedBy": Column("CREATED BY", command),
        "Size": Column("SIZE", lambda row: human_size(row["Size"], 3) if human else str(row["Size"])),
        "Comment": Column("COMMENT", lambda row: row["Comment"]),
    }
    table = ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    return Listing("*formatter.historyContext", columns, table, "ID")


HISTORY = Action(
    history,
    (
        LIST_FORMAT_FLAG,
        Flag("human", BOOL, "Sizes and times for people", short="H", default=True),
        Flag("no-trunc", BOOL, "Shorten nothing"),
        Flag("platform", STRING, "Platform (os[/arch[/variant]])"),
        Flag("quiet", BOOL, "Only ids", short="q"),
    ),
)
