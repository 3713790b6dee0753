"""Unpacked layers: one directory each, named by diff id, shared by every image and container that stacks it.

    layers/HEX/diff       the files, whiteouts in overlayfs's form
    layers/HEX/split      what the tar held besides file contents: with `diff`, the exact tar again (see tar.split)
    layers/HEX/shadow/N   contents of tar entries that a later entry of the same tar replaced

A layer appears by one rename after its diff id was checked. Its row comes after the rename and goes before the directory does, so a
directory without a row is rubbish and a row without a directory cannot be. Who needs a layer holds it: an image row, a snapshot
row, or a lease (work in progress).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from corten.errors import NotFound
from corten.ids import DiffId
from corten.oci.digest import hex_of
from corten.store.db import Database, Migration, Row
from corten.store.trash import Trash

MIGRATIONS: Final = (
    Migration(
        "layers",
        1,
        (
            """CREATE TABLE layers (
                 diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, entries INTEGER NOT NULL,
                 added INTEGER NOT NULL, settled TEXT NOT NULL
               ) WITHOUT ROWID""",
            "CREATE TABLE leases (lease TEXT NOT NULL, diff_id TEXT NOT NULL, PRIMARY KEY (lease, diff_id)) WITHOUT ROWID",
        ),
    ),
)
_SETTLED: Final = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """`size`: bytes of the files (Docker's figure); `tar_size`: bytes of the uncompressed tar; `entries`: in that tar."""

    diff_id: DiffId
    size: int
    tar_size: int
    entries: int
    added: int


class Layers:
    """The records and places of layers. Filling one is `store.unpack`'s job, giving back its tar `store.rebuild`'s."""

    def __init__(self, root: str, db: Database, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._trash = trash

    def directory(self, diff_id: DiffId) -> str:
        return os.path.join(self._root, hex_of(diff_id))

    def path(self, diff_id: DiffId) -> str:
        """The directory to stack as a lower layer."""
        return os.path.join(self.directory(diff_id), "diff")

    def empty_path(self) -> str:
        """An empty directory to stack under an image of no layers."""
        path = os.path.join(self._root, "empty")
        os.makedirs(path, mode=0o755, exist_ok=True)
        return path

    def get(self, diff_id: DiffId) -> Layer:
        found = self.find(diff_id)
        if found is None:
            raise NotFound(f"layer {diff_id} is not stored", reason="no-layer")
        return found

    def find(self, diff_id: DiffId) -> Layer | None:
        row = self._db.query_one(f"{_SELECT} WHERE diff_id = ?", (diff_id,))
        return _layer(row) if row else None

    def all(self) -> list[Layer]:
        return [_layer(row) for row in self._db.query(_SELECT)]

    def require(self, layers: Iterable[DiffId]) -> None:
        """Raises NotFound unless every one of `layers` is stored."""
        for diff_id in layers:
            self.get(diff_id)


_SELECT: Final = "SELECT diff_id, size, tar_size, entries, added FROM layers"


def _layer(row: Row) -> Layer:
    return Layer(*row)
