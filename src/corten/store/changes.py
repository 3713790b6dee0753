"""What a container changed against its image: `docker diff`, read off the snapshot's upper directory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from corten.oci.whiteout import OPAQUE_VALUE, OPAQUE_XATTR
from corten.store.layers import Layers
from corten.store.snapshots import Snapshots
from corten.store.tar.places import is_whiteout
from corten.store.view import opened_view


class Kind(IntEnum):
    """Docker's numbers on the wire."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """`path` begins with a slash."""

    path: str
    kind: Kind


def snapshot_changes(snapshots: Snapshots, layers: Layers, key: str) -> list[Change]:
    """Sorted by path; a directory in which something changed counts as modified, the root never. Blocks; raises NotFound.

    The container may be running: what vanishes while we look is left out.
    """
    stack = [layers.path(diff_id) for diff_id in reversed(snapshots.get(key).layers)] or [layers.empty_path()]
    with opened_view(stack) as below:
        return sorted(_walk(snapshots.upper(key), below), key=lambda change: change.path)


def _walk(upper: str, below: int) -> Iterator[Change]:
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            found = list(os.scandir(os.path.join(upper, folder)))
            opaque = _is_opaque(os.path.join(upper, folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        names = {entry.name for entry in found}
        for entry in found:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if (change := _change(entry, path, below)) is not None:
                yield change
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
        for name in _listed(below, folder) - names if opaque else ():
            yield Change(f"/{folder}/{name}" if folder else f"/{name}", Kind.DELETED)


def _change(entry: os.DirEntry[str], path: str, below: int) -> Change | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    was_there = _exists(below, path)
    if is_whiteout(found):
        return Change(f"/{path}", Kind.DELETED) if was_there else None
    return Change(f"/{path}", Kind.MODIFIED if was_there else Kind.ADDED)


def _exists(below: int, path: str) -> bool:
    try:
        os.close(_open_below(below, path, os.O_PATH | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def _listed(below: int, folder: str) -> set[str]:
    try:
        fd = _open_below(below, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return set()
    try:
        return set(os.listdir(fd))
    finally:
        os.close(fd)


def _open_below(below: int, path: str, flags: int) -> int:
    """A link on the way means that the image has nothing at that place itself."""
    return openat2(below, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, OPAQUE_XATTR, follow_symlinks=False) == OPAQUE_VALUE
    except OSError:
        return False
