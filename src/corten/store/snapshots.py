"""Writable halves of containers: an upper and a work directory each, stacked by overlayfs on unpacked layers.

Nothing is mounted here. `mounts` says what to mount, and the runtime does it inside the container's own mount namespace.

    snapshots/KEY/upper      what the container wrote
    snapshots/KEY/work       overlayfs's own
"""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from corten.errors import Conflict, Invalid, NotFound
from corten.ids import DiffId
from corten.store.db import Database, Migration
from corten.store.files import SCARCE, boot_id, disk_error, free_bytes, remove_tree
from corten.store.layers import Layers
from corten.store.trash import Trash
from corten.store.tree import Usage, measure

MIGRATIONS: Final = (
    Migration(
        "snapshots",
        1,
        (
            """CREATE TABLE snapshots (
                 key TEXT PRIMARY KEY, layers TEXT NOT NULL, volatile INTEGER NOT NULL, boot TEXT NOT NULL, created INTEGER NOT NULL
               ) WITHOUT ROWID""",
        ),
    ),
)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Mount(TypedDict):
    """One root mount, in the form of an OCI mount without destination."""

    type: str
    source: str
    options: list[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`layers` are diff ids, bottom first. A volatile one is not written back to the disk and does not outlive a reboot."""

    key: str
    layers: tuple[DiffId, ...]
    volatile: bool
    created: int


class Snapshots:
    """All methods block for well under a millisecond, except `usage` and `commit`, which walk the upper directory."""

    def __init__(self, root: str, db: Database, layers: Layers, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._layers = layers
        self._trash = trash
        self._boot = boot_id()

    def prepare(self, key: str, layers: Sequence[DiffId], *, volatile: bool = False) -> None:
        """A fresh writable snapshot on `layers` (bottom first; they are held from now on).

        Raises Conflict when `key` is in use, NotFound when a layer is missing, Unavailable when the disk is full.
        """
        if _KEY.fullmatch(key) is None:
            raise Invalid(f"invalid snapshot key {key!r}", reason="bad-snapshot-key")
        with self._db.transaction() as tx:
            self._layers.require(layers)
            row = (key, json.dumps(list(layers)), volatile, self._boot, time.time_ns())
            if tx.execute("INSERT INTO snapshots VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount == 0:
                raise Conflict(f"snapshot {key} exists", reason="snapshot-exists")
            self._make_directories(key)

    def mounts(self, key: str) -> list[Mount]:
        """What to mount as the root file system of `key`: one `lowerdir+=PATH` per layer, top first, then upper and work.

        An image of no layers gets an empty lower directory, which overlayfs needs. A layer that comes twice is mounted once, in its
        upper place: overlayfs refuses it otherwise (ELOOP), and what is in both places is seen in the upper one only.
        """
        snapshot = self.get(key)
        lower = [self._layers.path(diff_id) for diff_id in reversed(snapshot.layers)] or [self._layers.empty_path()]
        options = [f"lowerdir+={path}" for path in dict.fromkeys(lower)]
        options += [f"upperdir={self.upper(key)}", f"workdir={self._work(key)}"]
        if snapshot.volatile:
            options.append("volatile")
            self._forget_earlier_mount(key)
        return [{"type": "overlay", "source": "overlay", "options": options}]

    def upper(self, key: str) -> str:
        return os.path.join(self._root, key, "upper")

    def remove(self, key: str) -> None:
        """Forget `key`; its files go behind the answer, on a full disk before it. A missing one is fine.

        It must not be mounted any more.
        """
        if free_bytes(self._root) < SCARCE:  # forgetting takes room itself, and whoever filled the disk tries again at once
            remove_tree(os.path.join(self._root, key))
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM snapshots WHERE key = ?", (key,))
        self._trash.throw(os.path.join(self._root, key))

    def get(self, key: str) -> Snapshot:
        row = self._db.query_one("SELECT layers, volatile, created FROM snapshots WHERE key = ?", (key,))
        if row is None:
            raise NotFound(f"no snapshot {key}", reason="no-snapshot")
        return Snapshot(key, tuple(json.loads(row[0])), bool(row[1]), row[2])

    def keys(self) -> list[str]:
        return [row[0] for row in self._db.query("SELECT key FROM snapshots ORDER BY created")]

    def usage(self, key: str) -> Usage:
        """What the writable half holds, each inode counted once."""
        self.get(key)
        return measure(self.upper(key))

    def recover(self) -> None:
        """At start: directories without a row go, rows without one get it, volatile ones of an earlier boot are emptied."""
        known = set(self.keys())
        for name in os.listdir(self._root):
            if name not in known:
                self._trash.throw(os.path.join(self._root, name))
        for key, volatile, boot in self._db.query("SELECT key, volatile, boot FROM snapshots"):
            if volatile and boot != self._boot:
                self._trash.throw(os.path.join(self._root, key))
                self._db.execute("UPDATE snapshots SET boot = ? WHERE key = ?", (self._boot, key))
            if not os.path.isdir(self._work(key)):
                self._make_directories(key)

    def _work(self, key: str) -> str:
        return os.path.join(self._root, key, "work")

    def _make_directories(self, key: str) -> None:
        directory = os.path.join(self._root, key)
        try:
            if os.path.exists(directory):
                self._trash.throw(directory)
            os.mkdir(directory, 0o700)
            os.mkdir(self.upper(key), 0o755)
            os.chmod(self.upper(key), 0o755)
            os.mkdir(self._work(key), 0o700)
        except OSError as error:
            raise disk_error(error, f"preparing the file system of {key}") from error

    def _forget_earlier_mount(self, key: str) -> None:
        # A volatile mount leaves this directory, whose presence makes the kernel refuse the next mount (overlayfs.rst).
        work = os.path.join(self._work(key), "work")
        if os.path.isdir(work):
            remove_tree(os.path.join(work, "incompat"))
