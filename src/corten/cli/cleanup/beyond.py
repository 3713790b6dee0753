"""Calls and notes that only a Corten engine knows: what a prune kept, what is in the trash, marks of volumes."""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag
from corten.cli.kinds import BOOL
from corten.cli.output.units import human_size
from corten.cli.session import Session
from corten.client.errors import ApiError

Json = Mapping[str, Any]

DRY_RUN = Flag("dry-run", BOOL, "Print what would be removed, and remove nothing")
FORCE_PROTECTED = Flag("force-protected", BOOL, "Also what is protected (`corten volume protect`, label corten.protected)")
INCLUDE_MODELS = Flag("include-models", BOOL, "Also volumes that hold model weights")
FORCED = {"force-protected": "1"}
"""The query value behind FORCE_PROTECTED."""


def rehearse(session: Session, what: str, body: Json) -> Any:
    """The answer of a rehearsal. An engine that is not Corten cannot be asked: nothing is removed then, either."""
    try:
        return session.api.post(f"/corten/rehearse/{what}", body=dict(body))
    except ApiError as error:
        if error.status == 404 and "page not found" in str(error):
            raise Failure("--dry-run: this engine is not Corten, and has no dry run") from None
        raise


def tell_rehearsed(session: Session) -> None:
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


def volume_marks(session: Session) -> dict[str, Json]:
    """Protection and models of volumes by name; nothing where the engine is not Corten."""
    try:
        found: dict[str, Json] = session.api.get("/corten/volumes") or {}
    except ApiError:
        return {}
    return found
