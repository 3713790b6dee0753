"""`builder` and `buildx`: the engine as the one builder there is, under the names that buildx's users type."""

from collections.abc import Mapping
from typing import Any

from corten import __version__
from corten.cli.build.unsupported import BUILDERS, check_builder
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER, STRING
from corten.cli.output.listing import Column, Listing, show
from corten.cli.output.units import ago, parse_rfc3339
from corten.cli.session import Action, Session
from corten.units import human_size

Json = Mapping[str, Any]
BUILDER = Flag("builder", STRING, "Accepted for compatibility with Docker: default").hide()
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    show(session, LISTED, [_builder(session)], format=values.text("format"))
    return 0


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    check_builder(arguments[0] if arguments else values.text("builder"))
    found = _builder(session)
    pairs = [("Name:", found["Name"]), ("Driver:", found["Driver"])]
    node = [
        ("Name:", found["Name"]),
        ("Endpoint:", found["Endpoint"]),
        ("Status:", found["Status"]),
        ("Corten version:", found["Version"]),
        ("Platforms:", found["Platforms"]),
    ]
    lines = [*(f"{title:<8}{text}" for title, text in pairs), "", "Nodes:", *(f"{title:<16}{text}" for title, text in node)]
    session.say("\n".join(lines))
    return 0


def use(session: Session, values: Values, arguments: list[str]) -> int:
    if arguments[0] not in BUILDERS:
        raise Failure(
            f'ERROR: failed to find instance "{arguments[0]}"\nhint: the engine is the builder; `corten context use` goes to another engine'
        )
    return 0


def version(session: Session, values: Values, arguments: list[str]) -> int:
    session.say(f"corten/buildx v{__version__} built-in")
    return 0


def du(session: Session, values: Values, arguments: list[str]) -> int:
    check_builder(values.text("builder"))
    entries = [e for e in session.api.get("/system/df", {"type": "build-cache"}).get("BuildCache") or () if _matches(e, values)]
    if values.on("verbose"):
        session.say("\n\n".join(_whole(entry) for entry in entries))
    else:
        show(session, CACHE, entries, format=values.text("format"))
    if values.text("format"):
        return 0
    total = sum(e["Size"] for e in entries)
    shared = sum(e["Size"] for e in entries if e.get("Shared"))
    free = sum(e["Size"] for e in entries if not e.get("InUse"))
    sums = [("Shared:", shared), ("Private:", total - shared)] if shared else []
    sums += [("Reclaimable:", free), ("Total:", total)]
    session.say("\n".join(f"{title}\t{human_size(size)}" for title, size in sums))
    return 0


def _builder(session: Session) -> dict[str, str]:
    found = session.api.get("/version")
    platform = f"{found['Os']}/{found['Arch']}"
    host = session.api.endpoint.host
    return {
        "Name": "default",
        "Driver": "corten",
        "Endpoint": host,
        "Status": "running",
        "Version": found["Version"],
        "Platforms": platform,
    }


def _matches(entry: Json, values: Values) -> bool:
    return all(_holds(entry, name, wanted) for name, wanted in values.items("filter"))


def _holds(entry: Json, name: str, wanted: str) -> bool:
    """Raises Failure for a filter that there is not."""
    fields = {"id": "ID", "type": "Type", "description": "Description"}
    booleans = {"shared": bool(entry.get("Shared")), "private": not entry.get("Shared"), "inuse": bool(entry.get("InUse"))}
    if name in fields:
        return bool(str(entry.get(fields[name], "")).startswith(wanted)) if name == "id" else entry.get(fields[name]) == wanted
    if name in booleans:
        if wanted and wanted not in BOOLEANS:
            raise Failure(f"invalid filter '{name}={wanted}': true or false")
        return booleans[name] == BOOLEANS.get(wanted, True)
    raise Failure(f"invalid filter '{name}'\nhint: one of {', '.join(sorted((*fields, *booleans)))}")


def _whole(entry: Json) -> str:
    rows = [
        ("ID:", entry["ID"]),
        ("Created at:", entry["CreatedAt"]),
        ("Reclaimable:", _reclaimable(entry)),
        ("Shared:", str(bool(entry.get("Shared"))).lower()),
        ("Size:", human_size(entry["Size"])),
        ("Description:", entry.get("Description", "")),
        ("Usage count:", entry.get("UsageCount", 0)),
        ("Last used:", _used(entry)),
        ("Type:", entry["Type"]),
    ]
    return "\n".join(f"{title}\t{text}" for title, text in rows)


def _reclaimable(entry: Json) -> str:
    return str(not entry.get("InUse")).lower()


def _used(entry: Json) -> str:
    return ago(parse_rfc3339(entry["LastUsedAt"])) if entry.get("LastUsedAt") else ""


LISTED = Listing(
    "*builders.lsContext",
    {
        "Name": Column("NAME/NODE", lambda row: row["Name"] + "*"),
        "DriverEndpoint": Column("DRIVER/ENDPOINT", lambda row: f"{row['Driver']} {row['Endpoint']}"),
        "Status": Column("STATUS", lambda row: row["Status"]),
        "Version": Column("VERSION", lambda row: row["Version"]),
        "Platforms": Column("PLATFORMS", lambda row: row["Platforms"]),
    },
    ("Name", "DriverEndpoint", "Status", "Version", "Platforms"),
    "Name",
)
CACHE = Listing(
    "*builders.duContext",
    {
        "ID": Column("ID", lambda row: row["ID"]),
        "Reclaimable": Column("RECLAIMABLE", _reclaimable),
        "Size": Column("SIZE", lambda row: human_size(row["Size"]) + ("*" if row.get("Shared") else "")),
        "LastUsedAt": Column("LAST ACCESSED", _used),
        "CreatedAt": Column("CREATED AT", lambda row: row["CreatedAt"]),
        "Description": Column("DESCRIPTION", lambda row: row.get("Description", "")),
        "Type": Column("TYPE", lambda row: row["Type"]),
        "Shared": Column("SHARED", lambda row: bool(row.get("Shared"))),
        "UsageCount": Column("USAGE COUNT", lambda row: row.get("UsageCount", 0)),
    },
    ("ID", "Reclaimable", "Size", "LastUsedAt"),
    "ID",
)
FORMAT = Flag("format", STRING, "table, json, or a Go template")
BOOT = Flag("bootstrap", BOOL, "Accepted for compatibility with Docker: the engine runs").hide()
LS = Action(ls, (FORMAT, BUILDER))
INSPECT = Action(inspect, (BOOT, BUILDER))
IGNORED = "Accepted for compatibility with Docker"
USE = Action(use, (Flag("default", BOOL, IGNORED).hide(), Flag("global", BOOL, IGNORED).hide(), BUILDER))
VERSION = Action(version)
DU = Action(du, (Flag("filter", FILTER, "Only what matches (id, type, description, shared, private, inuse)"), FORMAT, BUILDER,
                 Flag("verbose", BOOL, "All about each entry")))  # fmt: skip
