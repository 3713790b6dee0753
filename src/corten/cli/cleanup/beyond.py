"""Calls and notes that only a Corten engine knows: what a prune kept, what is in the trash, marks of volumes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag
from corten.cli.kinds import BOOL
from corten.cli.output.listing import Column
from corten.cli.output.units import ago, parse_rfc3339
from corten.cli.session import Session
from corten.client.errors import ApiError
from corten.units import human_size

Json = Mapping[str, Any]

DRY_RUN = Flag("dry-run", BOOL, "Print what would be removed, and remove nothing")
FORCE_PROTECTED = Flag("force-protected", BOOL, "Also what is protected (`corten volume protect`, label corten.protected)")
INCLUDE_MODELS = Flag("include-models", BOOL, "Also volumes that hold model weights")
FORCED = {"force-protected": "1"}
"""The query value behind FORCE_PROTECTED."""


def ask_dry_run(session: Session, what: str, body: Json) -> Any:
    """The answer of a dry run. An engine that is not Corten cannot be asked: nothing is removed then, either."""
    try:
        return session.api.post(f"/corten/dry-run/{what}", body=dict(body))
    except ApiError as error:
        if error.status == 404 and "page not found" in str(error):
            raise Failure("--dry-run: this engine is not Corten, and has no dry run") from None
        raise


def tell_dry_run(session: Session) -> None:
    session.warn("dry run: nothing was removed")


def tell_kept(session: Session, reports: Sequence[Json]) -> None:
    """On stderr: what stays although nobody uses it, and why."""
    for report in reports:
        for item in report.get("CortenKept") or ():
            why, name = str(item["Why"]), item["Name"]
            if why == "protected":
                session.warn(f"kept {name}: it is protected; --force-protected removes it")
            else:
                session.warn(f"kept {name}: it holds models, {why}; --include-models removes it")


def tell_trashed(session: Session, reports: Sequence[Json]) -> None:
    """On stderr: how much of what was removed can be had back, and still takes room."""
    size = sum(int(report.get("CortenTrashed") or 0) for report in reports)
    if size:
        session.warn(f"{human_size(size)} of it is in the trash until the disk needs the room: see `corten trash ls`, `corten trash empty`")


def with_volume_marks(session: Session, rows: Iterable[Json]) -> list[Json]:
    """Volumes with what only a Corten engine knows of them, as member "corten": protection, models, last use."""
    marks = _marks(session, "volumes")
    return [{**row, "corten": marks.get(row["Name"], {})} if marks is not None else row for row in rows]


def tell_models(session: Session, volumes: Iterable[Json]) -> None:
    """On stderr: how much of what volumes hold are models; nothing where there are none."""
    sizes = [int(size) for row in with_volume_marks(session, volumes) if (size := row.get("corten", {}).get("ModelBytes"))]
    if sizes:
        which = "1 volume holds" if len(sizes) == 1 else f"{len(sizes)} volumes hold"
        session.warn(f"{which} models, {human_size(sum(sizes))}: prune leaves them without --include-models")


def with_image_marks(session: Session, rows: Iterable[Json]) -> list[Json]:
    """Images with what only a Corten engine knows of them: last use."""
    marks = _marks(session, "images")
    return [{**row, "corten": marks.get(row["Id"], {})} if marks is not None else row for row in rows]


def _last_used(row: Json) -> str:
    if "corten" not in row:
        return "N/A"
    moment = row["corten"].get("LastUsed")
    return ago(parse_rfc3339(moment)) if moment else "never"


LAST_USED = {
    "LastUsed": Column("LAST USED", _last_used),
    "LastUsedAt": Column("LAST USED AT", lambda row: row.get("corten", {}).get("LastUsed", "")),
}


def _marks(session: Session, kind: str) -> dict[str, Json] | None:
    """None where the engine is not Corten."""
    try:
        found: dict[str, Json] = session.api.get(f"/corten/{kind}") or {}
    except ApiError:
        return None
    return found
