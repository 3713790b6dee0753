"""`gc`: clear away now what the daemon would clear away by itself, or explain what it would take and why."""

from collections.abc import Sequence
from typing import Any

from corten.cli.cleanup.beyond import DRY_RUN, Json, tell_dry_run
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.output.listing import Column, Listing, show
from corten.cli.output.units import ago, ellipsis, parse_rfc3339
from corten.cli.session import Action, Session
from corten.client.errors import ApiError
from corten.units import human_size

NAME_WIDTH = 50
"""Build steps have long names."""
VERDICTS = Listing(
    "*formatter.gcContext",
    {
        "Kind": Column("KIND", lambda row: row["Kind"]),
        "Name": Column("NAME", lambda row: ellipsis(row["Name"].replace("RUN /bin/sh -c ", "RUN ", 1), NAME_WIDTH)),
        "ID": Column("ID", lambda row: row["ID"]),
        "Size": Column("SIZE", lambda row: human_size(row["Size"])),
        "LastUsed": Column("LAST USED", lambda row: ago(parse_rfc3339(row["LastUsed"])) if row["LastUsed"] else "never"),
        "Why": Column("WHY", lambda row: row["Why"]),
    },
    ("Kind", "Name", "Size", "LastUsed", "Why"),
    "ID",
)


def gc(session: Session, values: Values, arguments: list[str]) -> int:
    explains = values.on("explain")
    body: dict[str, Any] = {"DryRun": explains or values.on("dry-run")}
    body |= {key: values.text(flag) for key, flag in (("Low", "low"), ("Keep", "keep")) if values.text(flag)}
    try:
        answer = session.api.post("/corten/gc", body=body)
    except ApiError as error:
        if error.status == 404:
            raise Failure("this engine is not Corten, and has no garbage collection of this kind") from None
        raise
    if explains:
        _explain(session, answer)
    else:
        _report(session, answer)
    if answer["DryRun"]:
        tell_dry_run(session)
    return 0


def _report(session: Session, answer: Json) -> None:
    for verdict in answer["Going"]:
        session.say(f"{verdict['Kind']}: {verdict['Name']}")
    if not answer["Going"]:
        session.say(_nothing(answer))
    session.say(f"Total reclaimed space: {human_size(answer['Reclaimed'])}")


def _nothing(answer: Json) -> str:
    if not answer["Wanted"]:
        return f"The disk is {_percent(answer)} full, not above the threshold low ({answer['Marks']['Low']}): nothing goes."
    return "Nothing may go; --explain says why."


def _explain(session: Session, answer: Json) -> None:
    marks = answer["Marks"]
    session.say(f"Disk:  {human_size(answer['Used'])} of {human_size(answer['Total'])} used ({_percent(answer)})")
    pins = f", pinned: {', '.join(marks['Pin'])}" if marks["Pin"] else ""
    keep = f"keep {marks['Keep']}" if marks["Keep"] else "keep not set (only the trash goes by itself)"
    session.say(f"Marks: high {marks['High']}, low {marks['Low']}, trash {marks['Trash']}, {keep}{pins}")
    if answer["Wanted"]:
        session.say(f"To be down at low {human_size(answer['Wanted'])} have to come back; {human_size(answer['Reclaimed'])} can.")
    else:
        session.say("The disk is not above low: nothing goes.")
    _table(session, "Would go, in this order:", answer["Going"])
    _table(session, "Stays:", answer["Staying"])
    session.say("\nContainers and volumes are never taken; removed volumes are in the trash.")


def _table(session: Session, title: str, rows: Sequence[Json]) -> None:
    if rows:
        session.say(f"\n{title}\n")
        show(session, VERDICTS, rows, format="")


def _percent(answer: Json) -> str:
    return f"{answer['Used'] * 100 // answer['Total'] if answer['Total'] else 0}%"


GC = Action(
    gc,
    (
        DRY_RUN,
        Flag("explain", BOOL, "Say what would go and what stays, and why; remove nothing"),
        Flag("keep", STRING, "What was used within this time stays (14d; default: the daemon's mark)"),
        Flag("low", STRING, "Clear until the disk is this full (70%, 400GB; default: the daemon's mark)"),
    ),
)
