"""Unpacked layers: one directory each, named by diff id, shared by every image and container that stacks it.

    layers/HEX/diff       the files, whiteouts in overlayfs's form
    layers/HEX/split      what the tar held besides file contents: with `diff`, the exact tar again (see tar.split)
    layers/HEX/shadow/N   contents of tar entries that a later entry of the same tar replaced
    layers/HEX/replaced   a damaged layer's directory, for containers that run on it

A layer appears by one rename after its diff id was checked. Its row comes after the rename and goes before the directory does, so a
directory without a row is rubbish. Who needs a layer holds it: an image's row, a snapshot's row, or a lease (work in progress).

A rename survives `kill -9` but not a power failure, and flushing 1 GB takes seconds, so that is done behind the answer: until then
the row names this boot, and a start in another boot checks such layers against their diff ids before anybody uses them.

A layer that was found damaged (see `records.damage`) is not handed out by `hold`, so whoever needs it brings it again, and `commit`
then exchanges the directories. Containers may be running on the old one: it stays beside the new one until no snapshot is left.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from corten.errors import EngineError, NotFound
from corten.ids import DiffId
from corten.kernel.rename import exchange
from corten.oci.digest import hex_of
from corten.store.db import Database, Migration
from corten.store.files import boot_id
from corten.store.records import damage, keeps
from corten.store.records.damage import REPLACED, Damage
from corten.store.records.keeps import Keeps
from corten.store.records.leases import Lease, Leases
from corten.store.trash import Trash

MIGRATIONS: Final = (
    Migration(
        "layers",
        1,
        (
            """CREATE TABLE layers (
                 diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, entries INTEGER NOT NULL,
                 added INTEGER NOT NULL, boot TEXT NOT NULL
               ) WITHOUT ROWID""",
        ),
    ),
    *keeps.MIGRATIONS,
    *damage.MIGRATIONS,
)
SETTLED: Final = ""
"""In place of a boot: the layer is known to be on the disk."""
_SELECT: Final = "SELECT diff_id, size, tar_size, entries, added FROM layers"
_UNUSED: Final = """
SELECT diff_id FROM layers
EXCEPT SELECT j.value FROM images i, json_each(i.layers) j EXCEPT SELECT j.value FROM snapshots s, json_each(s.layers) j
EXCEPT SELECT diff_id FROM keeps
"""
Reclaim = Callable[[int], int]
"""Reclaims space on a full disk: tries to give back so many bytes, tells how many it gave. Blocks; not for the event loop."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`size`: bytes of the files (Docker's figure); `tar_size`: bytes of the uncompressed tar; `entries`: in that tar."""

    diff_id: DiffId
    size: int
    tar_size: int
    entries: int
    added: int = 0


class Layers:
    """Records and places of layers. Filling one is `store.layertar.unpack`'s job, giving back its tar `store.layertar.rebuild`'s."""

    def __init__(
        self, root: str, work: str, db: Database, trash: Trash, *, largest: int | None = None, reclaim: Reclaim | None = None
    ) -> None:
        """`largest`: no layer may have more bytes unpacked. None: what the disk holds. `reclaim` is asked when the disk is full."""
        self.largest = largest
        self.reclaim = reclaim or _nothing
        self._root = root
        self._work = work
        self._db = db
        self._trash = trash
        self._boot = boot_id()
        self.leases = Leases()
        self.keeps = Keeps(db)
        self.damage = Damage(db)
        self._moving = threading.Lock()  # held while a layer's directory and row come or go together

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
        return Layer(*row) if row else None

    def all(self) -> list[Layer]:
        return [Layer(*row) for row in self._db.query(_SELECT)]

    def require(self, layers: Iterable[DiffId]) -> None:
        """Raises NotFound unless every one of `layers` is stored."""
        for diff_id in layers:
            self.get(diff_id)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Layers committed or held under it are not collected inside the block. A lease does not outlive the process."""
        with self.leases.begun() as lease:
            yield lease

    def hold(self, diff_id: DiffId, lease: Lease) -> Layer | None:
        """The layer, from now on held by `lease`; None when it is not stored or must be brought again."""
        with self._db.transaction():
            found = self.find(diff_id)
            if found is None:
                return None
            self.leases.add(lease, diff_id)
            return None if self.damage.is_noted(diff_id) else found

    @contextmanager
    def workplace(self) -> Iterator[str]:
        """A new directory for a layer to come, holding an empty `diff`; removed at the end unless it was committed."""
        path = os.path.join(self._work, secrets.token_hex(8))
        os.makedirs(os.path.join(path, "diff"), mode=0o755)
        os.chmod(os.path.join(path, "diff"), 0o755)
        try:
            yield path
        finally:
            self._trash.throw(path)

    def commit(self, workplace: str, layer: Layer, lease: Lease) -> Layer:
        """Make the finished `workplace` the layer, held by `lease`. If the layer is there already, that one stays."""
        with self._moving:
            found = self.hold(layer.diff_id, lease)
            if found is not None:
                return found
            if self.find(layer.diff_id) is not None:
                return self._renew(workplace, layer.diff_id)
            self._trash.throw(self.directory(layer.diff_id))  # without a row: a crash left it
            os.rename(workplace, self.directory(layer.diff_id))
            try:
                self._insert(layer, lease)
            except EngineError:  # the disk is full: a directory without a row would only be rubbish
                self._trash.throw(self.directory(layer.diff_id))
                raise
        return self.get(layer.diff_id)

    def collect(self) -> list[Layer]:
        """Remove every layer that nothing holds; what was removed. Files go behind the answer."""
        with self._moving:
            with self._db.transaction() as tx:
                held = self.leases.held()
                unused = [self.get(row[0]) for row in tx.execute(_UNUSED).fetchall() if row[0] not in held]
                tx.executemany("DELETE FROM layers WHERE diff_id = ?", [(layer.diff_id,) for layer in unused])
                tx.executemany("DELETE FROM damaged_layers WHERE diff_id = ?", [(layer.diff_id,) for layer in unused])
            for layer in unused:
                self._trash.throw(self.directory(layer.diff_id))
        return unused

    def _renew(self, workplace: str, diff_id: DiffId) -> Layer:
        """Put the finished `workplace` in the place of a damaged layer."""
        directory = self.directory(diff_id)
        self._trash.throw(os.path.join(directory, REPLACED))
        os.makedirs(directory, exist_ok=True)  # for exchanging there must be something
        exchange(workplace, directory)
        if self.damage.is_stacked(diff_id):
            os.rename(workplace, os.path.join(directory, REPLACED))
        with self._db.transaction() as tx:
            tx.execute("UPDATE layers SET boot = ? WHERE diff_id = ?", (self._boot, diff_id))
            self.damage.forget(diff_id)
        return self.get(diff_id)

    def _insert(self, layer: Layer, lease: Lease) -> None:
        with self._db.transaction() as tx:
            row = (layer.diff_id, layer.size, layer.tar_size, layer.entries, time.time_ns(), self._boot)
            tx.execute("INSERT INTO layers VALUES (?, ?, ?, ?, ?, ?)", row)
            self.leases.add(lease, layer.diff_id)


def _nothing(wanted: int) -> int:
    """Without anybody to ask."""
    return 0
