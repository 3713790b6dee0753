"""Named directories that outlive containers: their records, who uses them, and their first filling.

    volumes/NAME/_data       what containers see
    volumes/NAME/_filling    a first filling under way; thrown away at the next start
    volumes/NAME/_filled     a whole first filling on its way into a _data that is in use; the next start goes on with it

A row exists before its directory is used and goes before the directory does.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from corten.errors import Conflict, NotFound
from corten.store.contents.filling import DATA, Filling
from corten.store.db import Database, Migration, Row
from corten.store.files import disk_error
from corten.store.trash import Trash

MIGRATIONS: Final = (
    Migration(
        "volumes",
        1,
        (
            """CREATE TABLE volumes (
                 name TEXT PRIMARY KEY, driver TEXT NOT NULL, options TEXT NOT NULL, labels TEXT NOT NULL, created INTEGER NOT NULL
               ) WITHOUT ROWID""",
            """CREATE TABLE volume_users (
                 volume TEXT NOT NULL REFERENCES volumes (name), user TEXT NOT NULL, PRIMARY KEY (volume, user)
               ) WITHOUT ROWID""",
        ),
    ),
)
ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"


@dataclass(frozen=True, slots=True)
class Volume:
    """`created` is ns since the epoch; `users` are container ids."""

    name: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    created: int
    users: tuple[str, ...] = field(default=())

    @property
    def anonymous(self) -> bool:
        return ANONYMOUS_LABEL in self.labels


class Volumes:
    """Records take microseconds; `filling` touches files and belongs in a thread."""

    def __init__(self, root: str, db: Database, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._trash = trash
        self.filling = Filling(root, trash)
        os.makedirs(root, mode=0o701, exist_ok=True)

    def data(self, name: str) -> str:
        """The directory that containers see. Users reach it through inspect's Mountpoint: the path is part of the contract."""
        return os.path.join(self._root, name, DATA)

    def create(self, name: str, *, driver: str = "local", options: Mapping[str, str], labels: Mapping[str, str]) -> tuple[Volume, bool]:
        """The volume, and whether it is new. An existing one is returned as it is. Raises Unavailable when the disk is full."""
        with self._db.transaction() as tx:
            found = self.find(name)
            if found:
                return found, False
            row = (name, driver, json.dumps(dict(options)), json.dumps(dict(labels)), time.time_ns())
            tx.execute("INSERT INTO volumes VALUES (?, ?, ?, ?, ?)", row)
            try:
                self._trash.throw(os.path.join(self._root, name))
                os.mkdir(os.path.join(self._root, name), 0o701)
                os.mkdir(self.data(name), 0o755)
                os.chmod(self.data(name), 0o755)
            except OSError as error:
                raise disk_error(error, f"create {name}") from error
        return self.get(name), True

    def get(self, name: str) -> Volume:
        found = self.find(name)
        if found is None:
            raise NotFound(f"get {name}: no such volume", reason="no-such-volume")
        return found

    def find(self, name: str) -> Volume | None:
        row = self._db.query_one(f"{_SELECT} WHERE v.name = ?", (name,))
        return _volume(row) if row else None

    def all(self) -> list[Volume]:
        return [_volume(row) for row in self._db.query(f"{_SELECT} ORDER BY v.created")]

    def held_by(self, user: str) -> list[Volume]:
        where = "WHERE v.name IN (SELECT volume FROM volume_users WHERE user = ?)"
        return [_volume(row) for row in self._db.query(f"{_SELECT} {where} ORDER BY v.created", (user,))]

    def directories(self) -> list[str]:
        """Names of what lies on the disk, with a row or without."""
        return os.listdir(self._root)

    def hold(self, name: str, user: str) -> None:
        self._db.execute("INSERT INTO volume_users VALUES (?, ?) ON CONFLICT DO NOTHING", (name, user))

    def release(self, user: str) -> list[Volume]:
        """`user` needs none of its volumes any more; those it held."""
        with self._db.transaction() as tx:
            names = [row[0] for row in tx.execute("SELECT volume FROM volume_users WHERE user = ?", (user,))]
            tx.execute("DELETE FROM volume_users WHERE user = ?", (user,))
        return [v for name in names if (v := self.find(name))]

    def remove(self, name: str) -> None:
        """Raises NotFound, and Conflict in Docker's words while somebody uses it."""
        with self._db.transaction() as tx:
            volume = self.get(name)
            if volume.users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(volume.users)}]", reason="volume-in-use")
            tx.execute("DELETE FROM volumes WHERE name = ?", (name,))
        self._trash.throw(os.path.join(self._root, name))

    def recover(self, users: Sequence[str]) -> None:
        """At start: directories without a row go, half fillings too, and holds by containers that are no more."""
        known = {v.name for v in self.all()}
        for name in os.listdir(self._root):
            if name not in known:
                self._trash.throw(os.path.join(self._root, name))
            else:
                self.filling.recover(name)
        alive = set(users)
        for (user,) in self._db.query("SELECT DISTINCT user FROM volume_users"):
            if user not in alive:
                self._db.execute("DELETE FROM volume_users WHERE user = ?", (user,))


_SELECT: Final = """
SELECT v.name, v.driver, v.options, v.labels, v.created, (SELECT json_group_array(u.user) FROM volume_users u WHERE u.volume = v.name)
  FROM volumes v
"""


def _volume(row: Row) -> Volume:
    name, driver, options, labels, created, users = row
    return Volume(name, driver, json.loads(options), json.loads(labels), created, tuple(json.loads(users)))
