"""`volume create`, `ls`, `inspect` and `rm`."""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.cleanup.beyond import FORCE_PROTECTED, FORCED, LAST_USED, with_volume_marks
from corten.cli.errors import Failure
from corten.cli.fan_out import each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER, MAP, STRING
from corten.cli.options.environment import LABEL, labels
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, label_text, show
from corten.cli.session import Action, Session
from corten.client.api import filters_query
from corten.client.urls import quoted
from corten.units import human_size

Json = Mapping[str, Any]
CLUSTER = "Corten has no cluster volumes"
CLUSTER_FLAGS = (
    *("availability", "group", "limit-bytes", "required-bytes", "scope"),
    *("secret", "sharing", "topology-preferred", "topology-required", "type"),
)


def create(session: Session, values: Values, arguments: list[str]) -> int:
    named = values.text("name")
    if named and arguments:
        raise Failure("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
    name = arguments[0] if arguments else named
    body: dict[str, Any] = {"Driver": values.text("driver")}
    if name:
        body["Name"] = name
    if options := dict(values.items("opt")):
        body["DriverOpts"] = options
    if chosen_labels := labels(values.texts("label"), ()):
        body["Labels"] = chosen_labels
    session.say(session.api.post("/volumes/create", body=body)["Name"])
    return 0


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    rows = session.api.get("/volumes", filters_query(values.items("filter")))["Volumes"] or []
    rows.sort(key=lambda row: row["Name"])
    quiet = values.on("quiet")
    if not quiet:
        rows = with_volume_marks(session, rows)
    format = chosen(session, values.text("format"), "volumesFormat", quiet=quiet)
    show(session, marked(volume_listing(), rows), rows, format=format, quiet=quiet)
    return 0


def volume_listing() -> Listing:
    def usage(row: Json, key: str) -> int:
        return int((row.get("UsageData") or {}).get(key, -1))

    columns = {
        "Name": Column("VOLUME NAME", lambda row: row["Name"]),
        "Driver": Column("DRIVER", lambda row: row["Driver"]),
        "Scope": Column("SCOPE", lambda row: row["Scope"]),
        "Mountpoint": Column("MOUNTPOINT", lambda row: row["Mountpoint"]),
        "Labels": Column("LABELS", lambda row: label_text(row.get("Labels"))),
        "Label": Column("LABEL", lambda row, name: (row.get("Labels") or {}).get(name, "")),
        "Links": Column("LINKS", lambda row: "N/A" if usage(row, "RefCount") < 0 else str(usage(row, "RefCount"))),
        "Size": Column("SIZE", lambda row: "N/A" if usage(row, "Size") < 0 else human_size(usage(row, "Size"))),
        "Availability": Column("AVAILABILITY", lambda _: "N/A"),
        "Group": Column("GROUP", lambda _: "N/A"),
        "Status": Column("STATUS", lambda _: "N/A"),
        "Protected": Column("PROTECTED", lambda row: "yes" if _mark(row, "Protected") else ""),
        "Models": Column("MODELS", lambda row: str(_mark(row, "Models") or "")),
        **LAST_USED,
    }
    return Listing("*formatter.volumeContext", columns, ("Driver", "Name"), "Name")


def marked(listing: Listing, rows: Sequence[Json]) -> Listing:
    """With columns for protection and models where there is something to say."""
    columns = [name for name in ("Protected", "Models") if any(_mark(row, name) for row in rows)]
    return listing._replace(table=(*listing.table, *columns))


def _mark(row: Json, name: str) -> Any:
    return (row.get("corten") or {}).get(name)


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    query = {**({"force": "1"} if values.on("force") else {}), **(FORCED if values.on("force-protected") else {})} or None
    return each(session, arguments, lambda api, name: api.delete(f"/volumes/{quoted(name)}", query))


CREATE = Action(
    create,
    (
        Flag("driver", STRING, "Driver", short="d", default="local"),
        Flag("label", LABEL, "Label (key=value)"),
        Flag("name", STRING, "Name of the volume").hide(),
        Flag("opt", MAP, "Option of the driver (name=value)", short="o"),
        *(Flag(name, STRING, refusal=CLUSTER).hide() for name in CLUSTER_FLAGS),
    ),
)
LS = Action(
    ls,
    (
        Flag("cluster", BOOL, "Only cluster volumes", refusal=CLUSTER).hide(),
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        LIST_FORMAT_FLAG,
        Flag("quiet", BOOL, "Only names", short="q"),
    ),
)
RM = Action(rm, (Flag("force", BOOL, "No error for a volume that does not exist", short="f"), FORCE_PROTECTED))
