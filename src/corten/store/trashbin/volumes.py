"""Volumes in the trash: a row changes its table and a directory its place, by one rename, whatever the volume holds.

    put        row volumes -> trash,   volumes/NAME -> trash/ID/NAME
    restore    row trash -> volumes,   trash/ID/NAME -> volumes/NAME

The rename happens inside the transaction, which is taken back with it. What is killed in between leaves a directory where the rows do not
want it, and `recover` moves it back; the directory keeps its name in the trash, so that it can be told whose it is.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from corten.errors import Conflict, EngineError, NotFound
from corten.kernel.mount import umount2
from corten.store.db import Database
from corten.store.files import disk_error
from corten.store.trashbin.bin import UNKNOWN, Bin, Entry
from corten.store.tree import measure

logger = logging.getLogger("corten.store")
KIND: Final = "volume"
_MNT_DETACH: Final = 2
Record = dict[str, Any]
"""A row of the volumes' table, by column."""


class VolumeBin:
    """`root` is where volumes' directories are; it is on the trash's file system. Everything but `measure` takes microseconds."""

    def __init__(self, bin: Bin, root: str) -> None:
        self._bin = bin
        self._root = root
        self._rows = _Rows(bin.db)

    def put(
        self, name: str, *, size: int = UNKNOWN, extra: Mapping[str, Any] | None = None, along: Callable[[], None] = lambda: None
    ) -> Entry:
        """The volume is gone when this returns, and in the trash; `extra` is kept with it. Nobody may use it (the caller has checked).
        `along` writes other rows in the same transaction.

        Raises NotFound, and Unavailable when the disk refuses; the volume is there then, as before."""
        with self._moving(f"remove {name}") as moved:
            entry = self._bin.add(KIND, name, size=size, body={"record": self._rows.take(name), **(extra or {})})
            along()
            os.mkdir(self._bin.place(entry.id), 0o700)
            moved(os.path.join(self._root, name), self._inside(entry))
        return entry

    def restore(self, entry: Entry, name: str = "", *, along: Callable[[], None] = lambda: None) -> str:
        """The volume's name, which is `name` or the old one; `along` as in `put`.

        Raises Conflict when that is taken, NotFound when the files are gone."""
        name = name or entry.name
        if name in self._rows.names():
            hint = f"restore it under another name: corten trash restore {entry.id} NAME"
            raise Conflict(f"a volume named {name} exists", reason="name-in-use", hint=hint)
        if not os.path.isdir(self._inside(entry)):
            raise NotFound(f"the files of {entry.name} are no longer in the trash", reason="not-in-trash")
        if name != entry.name:
            entry = self._renamed(entry, name)
        target = os.path.join(self._root, name)
        self._bin.throw(target)  # a directory without a row: a failed creation left it
        with self._moving(f"restore {name}") as moved:
            self._rows.put({**entry.body["record"], "name": name})
            self._bin.drop_row(entry.id)
            along()
            moved(self._inside(entry), target)
        os.rmdir(self._bin.place(entry.id))
        return name

    def discard(self, entry: Entry) -> None:
        """Its files are gone for good, and deleted behind the answer; the row goes after them, by `forget`: a start between the two
        forgets it."""
        if os.path.ismount(self.data(entry)):  # what is mounted there is not ours to delete
            umount2(self.data(entry), _MNT_DETACH)
        self._bin.throw(self._bin.place(entry.id))

    def forget(self, entry: Entry) -> None:
        self._bin.drop_row(entry.id)

    def data(self, entry: Entry) -> str:
        """Where its files are."""
        return os.path.join(self._inside(entry), "_data")

    def measure(self, entry: Entry) -> int:
        """Bytes of its files, by a walk; noted in the entry."""
        size = measure(self.data(entry)).size
        self._bin.measured(entry.id, size)
        return size

    def recover(self) -> None:
        """At start, before volumes are used: every directory goes where the rows say, and what no row knows is kept in the trash."""
        entries = {entry.id: entry for entry in self._bin.all() if entry.kind == KIND}
        for entry_id in os.listdir(self._bin.root):
            self._settle(entry_id, entries.get(entry_id))
        for entry in entries.values():
            if not os.path.isdir(self._inside(entry)):
                self._find(entry)
        for name in set(os.listdir(self._root)) - self._rows.names():
            self._adopt(name)

    def _settle(self, entry_id: str, entry: Entry | None) -> None:
        """One place in the trash: what lies there belongs to `entry`, or to a row that a crash has kept from being written."""
        place = self._bin.place(entry_id)
        child = next(iter(os.listdir(place)), None) if os.path.isdir(place) else None
        if child is None:
            self._bin.throw(place)
        elif entry is not None:
            if child != entry.name:
                os.rename(os.path.join(place, child), self._inside(entry))
        elif child in self._rows.names() and not os.path.exists(os.path.join(self._root, child)):
            os.rename(os.path.join(place, child), os.path.join(self._root, child))
            os.rmdir(place)
        else:
            self._bin.add(KIND, child, body={"record": _nameless(child)}, entry_id=entry_id)

    def _find(self, entry: Entry) -> None:
        """An entry without a directory: a restore that was cut short left it among the volumes, or a purge has thrown it away."""
        if entry.name not in self._rows.names() and os.path.isdir(os.path.join(self._root, entry.name)):
            os.makedirs(self._bin.place(entry.id), mode=0o700, exist_ok=True)
            os.rename(os.path.join(self._root, entry.name), self._inside(entry))
        else:
            self._bin.drop_row(entry.id)

    def _adopt(self, name: str) -> None:
        """A directory among the volumes that no row knows (a power failure took the row, or a creation failed)."""
        if os.path.ismount(data := os.path.join(self._root, name, "_data")):
            umount2(data, _MNT_DETACH)
        if _is_bare(os.path.join(self._root, name)):
            self._bin.throw(os.path.join(self._root, name))
            return
        entry = self._bin.add(KIND, name, body={"record": _nameless(name)})
        os.makedirs(self._bin.place(entry.id), mode=0o700)
        os.rename(os.path.join(self._root, name), self._inside(entry))
        logger.warning("the volume directory %s has no record; it is in the trash as %s", name, entry.id)

    def _renamed(self, entry: Entry, name: str) -> Entry:
        """The entry under the name that it shall have: should the restore be cut short, the directory's name says where it belongs."""
        changed = replace(entry, name=name)
        with self._moving(f"restore {name}") as moved:
            self._bin.put_row(changed)
            moved(self._inside(entry), self._inside(changed))
        return changed

    def _inside(self, entry: Entry) -> str:
        return os.path.join(self._bin.place(entry.id), entry.name)

    @contextmanager
    def _moving(self, doing: str) -> Iterator["_Move"]:
        """A transaction with one rename in it: both happen or neither. Raises Unavailable when the disk refuses."""
        move = _Move()
        try:
            with self._bin.db.transaction():
                yield move
        except OSError as error:
            move.back()
            raise disk_error(error, doing) from error
        except EngineError:
            move.back()
            raise


class _Move:
    def __init__(self) -> None:
        self._done: tuple[str, str] | None = None

    def __call__(self, source: str, target: str) -> None:
        os.rename(source, target)
        self._done = (source, target)

    def back(self) -> None:
        if self._done is not None:
            os.rename(*self._done[::-1])


class _Rows:
    """The volumes' table, column by column: whatever columns it has are kept."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def names(self) -> set[str]:
        return {row[0] for row in self._db.query("SELECT name FROM volumes")}

    def take(self, name: str) -> Record:
        """The record of `name`, whose row is gone."""
        columns = [row[1] for row in self._db.query("PRAGMA table_info(volumes)")]
        row = self._db.query_one("SELECT * FROM volumes WHERE name = ?", (name,))
        if row is None:
            raise NotFound(f"get {name}: no such volume", reason="no-such-volume")
        self._db.execute("DELETE FROM volumes WHERE name = ?", (name,))
        return dict(zip(columns, row, strict=True))

    def put(self, record: Record) -> None:
        columns = {row[1] for row in self._db.query("PRAGMA table_info(volumes)")}
        kept = {column: value for column, value in record.items() if column in columns}
        marks = ", ".join("?" * len(kept))
        self._db.execute(f"INSERT INTO volumes ({', '.join(kept)}) VALUES ({marks})", tuple(kept.values()))


def _nameless(name: str) -> Record:
    """What is known of a volume whose record is lost."""
    return {"name": name, "driver": "local", "options": json.dumps({}), "labels": json.dumps({}), "created": 0}


def _is_bare(path: str) -> bool:
    """Whether a volume's directory holds no file of anybody's."""
    try:
        with os.scandir(os.path.join(path, "_data")) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True
