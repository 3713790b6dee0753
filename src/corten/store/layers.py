"""Unpacked layers: one directory each, named by diff id, shared by every image and container that stacks it.

    layers/HEX/diff       the files, whiteouts in overlayfs's form
    layers/HEX/split      what the tar held besides file contents: with `diff`, the exact tar again (see tar.split)
    layers/HEX/shadow/N   contents of tar entries that a later entry of the same tar replaced

A layer appears by one rename after its diff id was checked. Its row comes after the rename and goes before the directory does, so a
directory without a row is rubbish. Who needs a layer holds it: an image's row, a snapshot's row, or a lease (work in progress).

A rename survives `kill -9` but not a power failure, and flushing 1 GB takes seconds, so that is done behind the answer: until then
the row names this boot, and a start in another boot checks such layers against their diff ids before anybody uses them.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NewType

from corten.errors import EngineError, NotFound
from corten.ids import DiffId
from corten.kernel.libc import check, libc
from corten.oci.digest import hex_of
from corten.store.db import Database, Migration
from corten.store.files import boot_id, release_memory
from corten.store.trash import Background, Trash

MIGRATIONS: Final = (
    Migration(
        "layers",
        1,
        (
            """CREATE TABLE layers (
                 diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, entries INTEGER NOT NULL,
                 added INTEGER NOT NULL, boot TEXT NOT NULL
               ) WITHOUT ROWID""",
            "CREATE TABLE leases (lease TEXT NOT NULL, diff_id TEXT NOT NULL, PRIMARY KEY (lease, diff_id)) WITHOUT ROWID",
        ),
    ),
    Migration("layers", 2, ("CREATE TABLE keeps (keeper TEXT PRIMARY KEY, diff_id TEXT NOT NULL) WITHOUT ROWID",)),
)
_SETTLED: Final = ""
_SELECT: Final = "SELECT diff_id, size, tar_size, entries, added FROM layers"
_UNUSED: Final = """
SELECT diff_id FROM layers EXCEPT SELECT diff_id FROM leases
EXCEPT SELECT j.value FROM images i, json_each(i.layers) j EXCEPT SELECT j.value FROM snapshots s, json_each(s.layers) j
EXCEPT SELECT diff_id FROM keeps
"""

Lease = NewType("Lease", str)


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

    def __init__(self, root: str, work: str, db: Database, trash: Trash) -> None:
        self._root = root
        self._work = work
        self._db = db
        self._trash = trash
        self._boot = boot_id()
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
        lease = Lease(secrets.token_hex(8))
        try:
            yield lease
        finally:
            self._db.execute("DELETE FROM leases WHERE lease = ?", (lease,))

    def hold(self, diff_id: DiffId, lease: Lease) -> Layer | None:
        """The layer, from now on held by `lease`; None when it is not stored."""
        with self._db.transaction() as tx:
            found = self.find(diff_id)
            if found is not None:
                tx.execute("INSERT OR IGNORE INTO leases VALUES (?, ?)", (lease, diff_id))
        return found

    def keep(self, keeper: str, diff_id: DiffId) -> None:
        """`keeper` (a row somewhere else) needs the layer until `let_go`. Joins a surrounding transaction."""
        self._db.execute("INSERT OR REPLACE INTO keeps VALUES (?, ?)", (keeper, diff_id))

    def let_go(self, keeper: str) -> None:
        self._db.execute("DELETE FROM keeps WHERE keeper = ?", (keeper,))

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
                unused = [self.get(row[0]) for row in tx.execute(_UNUSED).fetchall()]
                tx.executemany("DELETE FROM layers WHERE diff_id = ?", [(layer.diff_id,) for layer in unused])
            for layer in unused:
                self._trash.throw(self.directory(layer.diff_id))
        return unused

    def _insert(self, layer: Layer, lease: Lease) -> None:
        with self._db.transaction() as tx:
            row = (layer.diff_id, layer.size, layer.tar_size, layer.entries, time.time_ns(), self._boot)
            tx.execute("INSERT INTO layers VALUES (?, ?, ?, ?, ?, ?)", row)
            tx.execute("INSERT INTO leases VALUES (?, ?)", (lease, layer.diff_id))


class Durability:
    """Makes committed layers survive a power failure, behind the answer; after one, tells which ones did not."""

    def __init__(self, root: str, db: Database, background: Background) -> None:
        self._root = root
        self._db = db
        self._background = background
        self._boot = boot_id()

    def settle_later(self) -> None:
        """Ask for every layer that is committed now to be flushed to the disk."""
        self._background.submit(self.settle)
        self._background.submit(release_memory)

    def settle(self) -> None:
        """Blocks for as long as the disk takes to write what is dirty on the store's file system."""
        rows = self._db.query("SELECT diff_id FROM layers WHERE boot = ?", (self._boot,))
        if not rows:
            return
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            check(libc.syncfs(fd), "syncfs", self._root)
        finally:
            os.close(fd)
        with self._db.transaction() as tx:
            tx.executemany("UPDATE layers SET boot = ? WHERE diff_id = ?", [(_SETTLED, row[0]) for row in rows])
        self._db.sync_now()

    def unsettled(self) -> list[DiffId]:
        """Layers that an earlier boot committed and did not flush: to be checked before use."""
        rows = self._db.query("SELECT diff_id FROM layers WHERE boot NOT IN (?, ?)", (_SETTLED, self._boot))
        return [DiffId(row[0]) for row in rows]
