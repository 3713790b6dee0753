"""`network ls`, `network inspect`, `network rm`."""

from collections.abc import Mapping
from typing import Any

from corten.cli.cleanup.beyond import FORCE_PROTECTED, FORCED
from corten.cli.fan_out import Forgiven, each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, label_text, show
from corten.cli.output.units import short_id
from corten.cli.session import Action, Session
from corten.cli.template.values import GoTime
from corten.client.api import filters_query
from corten.client.urls import quoted

Json = Mapping[str, Any]


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    rows = session.api.get("/networks", filters_query(values.items("filter")))
    rows.sort(key=lambda row: _natural(row["Name"]))
    quiet = values.on("quiet")
    format = chosen(session, values.text("format"), "networksFormat", quiet=quiet)
    show(session, network_listing(whole=values.on("no-trunc")), rows, format=format, quiet=quiet)
    return 0


def _natural(name: str) -> tuple[str, int]:
    digits = len(name) - len(name.rstrip("0123456789"))
    return (name[: len(name) - digits], int(name[len(name) - digits :] or -1))


def network_listing(*, whole: bool) -> Listing:
    columns = {
        "ID": Column("NETWORK ID", lambda row: row["Id"] if whole else short_id(row["Id"])),
        "Name": Column("NAME", lambda row: row["Name"]),
        "Driver": Column("DRIVER", lambda row: row["Driver"]),
        "Scope": Column("SCOPE", lambda row: row["Scope"]),
        "IPv4": Column("IPV4", lambda row: str(row.get("EnableIPv4", True)).lower()),
        "IPv6": Column("IPV6", lambda row: str(row.get("EnableIPv6", False)).lower()),
        "Internal": Column("INTERNAL", lambda row: str(row["Internal"]).lower()),
        "Labels": Column("LABELS", lambda row: label_text(row.get("Labels"))),
        "Label": Column("LABEL", lambda row, name: (row.get("Labels") or {}).get(name, "")),
        "CreatedAt": Column("CREATED AT", lambda row: GoTime(row["Created"]).shown()),
    }
    return Listing("*formatter.networkContext", columns, ("ID", "Name", "Driver", "Scope"), "ID")


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    forgiven = Forgiven("not found", silent=True) if values.on("force") else None
    query = FORCED if values.on("force-protected") else None
    return each(session, arguments, lambda api, name: api.delete(f"/networks/{quoted(name)}", query), forgiven=forgiven)


LS = Action(
    ls,
    (
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        LIST_FORMAT_FLAG,
        Flag("no-trunc", BOOL, "Shorten nothing"),
        Flag("quiet", BOOL, "Only ids", short="q"),
    ),
)
RM = Action(rm, (Flag("force", BOOL, "No error for a network that does not exist", short="f"), FORCE_PROTECTED))
