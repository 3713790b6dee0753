"""The trash as users see it: one row for each removed volume or image, kept for days or until the space is needed.

    trash            one row an entry; `body` holds what is needed to restore it, as JSON
    trash/ID/NAME    a removed volume's directory, moved here by one rename

`kinds` next door (`volumes`, `images`) put things in and take them out; here are the rows, the place, and the end of an entry.
This is not `store.trash.Trash`, where trees are put that are to be deleted and nobody may have back.
"""

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from corten.errors import Invalid, NotFound
from corten.store.db import Database, Migration, Row
from corten.store.trash import Trash

Kind = Literal["volume", "image"]
UNKNOWN: Final = -1
"""A size that nobody has measured yet."""
MIGRATIONS: Final = (
    Migration(
        "trash",
        1,
        (
            """CREATE TABLE trash (
                 id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, removed INTEGER NOT NULL, size INTEGER NOT NULL,
                 body TEXT NOT NULL
               ) WITHOUT ROWID""",
        ),
    ),
    Migration(
        "trash",
        2,
        (
            """CREATE TABLE lost_names (
                 image TEXT NOT NULL, name TEXT NOT NULL, tagged INTEGER NOT NULL, lost INTEGER NOT NULL, PRIMARY KEY (image, name)
               ) WITHOUT ROWID""",
        ),
    ),
)
_SELECT: Final = "SELECT id, kind, name, removed, size, body FROM trash"


@dataclass(frozen=True, slots=True)
class Entry:
    """`name` is the volume's, or an image's first tag (its short id when it had none). `removed` is ns since the epoch, `size` bytes."""

    id: str
    kind: Kind
    name: str
    removed: int
    size: int
    body: Mapping[str, Any] = field(default_factory=dict)


class Bin:
    """Rows take microseconds and join a surrounding transaction; `place` is on the file system of what is moved there."""

    def __init__(self, root: str, db: Database, sweeper: Trash, *, keep: int) -> None:
        """`keep`: for how long entries stay, in ns; 0 = nothing is kept: who removes something deletes it."""
        self.keep = keep
        self.root = root
        self.db = db
        self._sweeper = sweeper
        os.makedirs(root, mode=0o700, exist_ok=True)

    def place(self, entry_id: str) -> str:
        return os.path.join(self.root, entry_id)

    def add(self, kind: Kind, name: str, *, size: int = UNKNOWN, body: Mapping[str, Any], entry_id: str = "") -> Entry:
        """A new entry, removed now. `entry_id` is that of a place which is there already."""
        entry = Entry(entry_id or _new_id(), kind, name, time.time_ns(), size, body)
        self.put_row(entry)
        return entry

    def put_row(self, entry: Entry) -> None:
        """Writes the entry's row, or replaces it."""
        row = (entry.id, entry.kind, entry.name, entry.removed, entry.size, json.dumps(dict(entry.body)))
        self.db.execute("INSERT OR REPLACE INTO trash VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop_row(self, entry_id: str) -> None:
        self.db.execute("DELETE FROM trash WHERE id = ?", (entry_id,))

    def all(self) -> list[Entry]:
        """Longest in the trash first."""
        return [_entry(row) for row in self.db.query(f"{_SELECT} ORDER BY removed, id")]

    def get(self, ref: str) -> Entry:
        """By id, the beginning of one, or name (of an image any of its tags). Of several with that name, the one removed last.

        Raises NotFound, and Invalid when the beginning of an id means several entries."""
        entries = self.all()
        names = {ref, f"{ref}:latest"}
        named = [e for e in entries if ref in (e.id, e.name) or names.intersection(e.body.get("tags", ()))]
        if named:
            return named[-1]
        found = [entry for entry in entries if ref and entry.id.startswith(ref)]
        if len(found) > 1:
            raise Invalid(f"several things in the trash have an id that begins with {ref}", reason="ambiguous-trash-id")
        if not found:
            raise NotFound(f"nothing in the trash is called {ref}", reason="not-in-trash", hint="see `corten trash ls`")
        return found[0]

    def throw(self, path: str) -> None:
        """Delete a tree for good, behind the answer."""
        self._sweeper.throw(path)

    def measured(self, entry_id: str, size: int) -> None:
        self.db.execute("UPDATE trash SET size = ? WHERE id = ?", (size, entry_id))


def _new_id() -> str:
    """12 digits, one of which is a letter, so that it cannot be taken for a number."""
    return secrets.choice("abcdef") + secrets.token_hex(6)[:11]


def _entry(row: Row) -> Entry:
    entry_id, kind, name, removed, size, body = row
    return Entry(entry_id, kind, name, removed, size, json.loads(body))
