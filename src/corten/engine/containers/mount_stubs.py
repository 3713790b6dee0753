"""Mount points and marks that every start needs and makes where an image lacks them. Docker keeps them in a layer of their own, which
neither `diff` nor `commit` shows."""

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from corten.store.changes import Change, Kind

MARK: Final = ".dockerenv"
"""An empty file by which programs see that they are in a container."""
_FOLDERS: Final = frozenset(("/dev", "/dev/pts", "/dev/shm", "/etc", "/proc", "/sys"))
_OWN: Final = _FOLDERS | {f"/{MARK}", "/dev/console", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}


def without_own(changes: Sequence[Change]) -> list[Change]:
    """Without what is only there for the mounts."""
    own = own_of(changes)
    added = {change.path for change in changes if change.kind is Kind.ADDED}
    # A folder of ours in which the user made something: changed, not added.
    return [
        replace(change, kind=Kind.MODIFIED) if change.path in _FOLDERS & added else change for change in changes if change.path not in own
    ]


def own_of(changes: Sequence[Change]) -> set[str]:
    """Paths of what is only there for the mounts, and of the image's directories in which nothing else changed."""
    added = {change.path for change in changes if change.path in _OWN and change.kind is Kind.ADDED}
    busy = {folder for change in changes if change.path not in added for folder in _folders_above(change.path)}
    own = {path for path in added if path not in busy}
    touched = {path.rpartition("/")[0] for path in own}
    return own | {change.path for change in changes if change.path in touched - busy and change.kind is Kind.MODIFIED}


def remove_own(upper: str, changes: Sequence[Change]) -> None:
    """From a copy of a container's writable layer. What somebody has filled stays."""
    for path in sorted(own_of(changes), reverse=True):
        place = upper + path
        try:
            found = os.lstat(place)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(place)
            elif not found.st_size:
                os.unlink(place)
        except OSError:
            continue


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(2, len(parts))]
