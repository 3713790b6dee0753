"""`cache`: the cache mounts of builds, which live on from build to build and can be mounted into containers too."""

import json
from typing import Any

from corten.cli.errors import Failure
from corten.cli.fan_out import each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.options.quantities import BYTES
from corten.cli.output.units import ago
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.units import human_size

HEAD = ("CACHE ID", "SIZE", "QUOTA", "LAST USED", "USES", "IN USE")


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.api.get("/corten/caches")
    if values.on("quiet"):
        session.say("\n".join(str(cache["ID"]) for cache in found)) if found else None
    elif values.text("format") == "json":
        for cache in found:
            session.say(json.dumps(cache))
    elif values.text("format"):
        raise Failure(f"unknown format {values.text('format')}: json")
    else:
        _table(session, [HEAD, *(_row(cache) for cache in found)])
    return 0


def _row(cache: dict[str, Any]) -> tuple[str, ...]:
    quota = human_size(cache["Quota"], 3) if cache["Quota"] else ""
    users = "build" if cache["InUse"] and not cache["Containers"] else ", ".join(c[:12] for c in cache["Containers"])
    return (str(cache["ID"]), human_size(cache["Size"], 3), quota, ago(cache["LastUsed"]), str(cache["Uses"]), users)


def _table(session: Session, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(len(HEAD))]
    for row in rows:
        session.say("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    reclaimed: list[int] = []

    def remove(api: Api, cache_id: str) -> None:
        reclaimed.append(int(api.delete("/corten/caches", {"id": cache_id})["SpaceReclaimed"]))

    status = each(session, arguments, remove)
    if reclaimed:
        session.warn(f"Total reclaimed space: {human_size(sum(reclaimed))}")
    return status


def limit(session: Session, values: Values, arguments: list[str]) -> int:
    cache_id, text = arguments
    try:
        quota = int(BYTES.parse(text))  # type: ignore[call-overload]
    except ValueError as error:
        raise Failure(f'invalid quota "{text}": {error}; 0 takes the quota away') from None
    freed = session.api.post("/corten/caches", {"id": cache_id, "quota": str(quota)})["SpaceReclaimed"]
    session.say(f"{cache_id}: {human_size(quota) if quota else 'no quota'}" + (f", {human_size(freed)} evicted" if freed else ""))
    return 0


LS = Action(ls, (Flag("format", STRING, "json for a line of JSON each"), Flag("quiet", BOOL, "Only ids", short="q")))
RM = Action(rm)
LIMIT = Action(limit)
