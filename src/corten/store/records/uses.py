"""When images and volumes were last used. Noted in memory, written a moment later, many at once: no run waits for a write.

`kill -9` loses what was noted in the last DELAY seconds.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Final, Literal

from corten.store.db import Database, Migration

Kind = Literal["image", "volume"]
DELAY: Final = 1.0
MIGRATIONS: Final = (
    Migration("uses", 1, ("CREATE TABLE uses (kind TEXT, name TEXT, used INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID",)),
)


class Uses:
    """Belongs to the event loop. Times are ns since the epoch."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._noted: dict[tuple[Kind, str], int] = {}
        self._wake = asyncio.Event()

    def note(self, kind: Kind, names: Iterable[str], at: int = 0) -> None:
        """They are in use now, or were at that moment."""
        moment = at or time.time_ns()
        self._noted.update(dict.fromkeys(((kind, name) for name in names), moment))
        self._wake.set()

    def all(self, kind: Kind) -> dict[str, int]:
        """By image id or volume name; what was never used is not in it."""
        written: dict[str, int] = dict(self._db.query("SELECT name, used FROM uses WHERE kind = ?", (kind,)))
        return written | {name: at for (noted, name), at in self._noted.items() if noted == kind}

    def find(self, kind: Kind, name: str) -> int:
        """0 = never."""
        if at := self._noted.get((kind, name)):
            return at
        row = self._db.query_one("SELECT used FROM uses WHERE kind = ? AND name = ?", (kind, name))
        return int(row[0]) if row else 0

    def forget(self, kind: Kind, name: str) -> None:
        """Another one of that name starts anew."""
        self._noted.pop((kind, name), None)
        self._db.execute("DELETE FROM uses WHERE kind = ? AND name = ?", (kind, name))

    def forget_images(self, before: int) -> None:
        """Those that are no more, if they were last used before that moment: an image that comes back soon is the same one."""
        sql = "DELETE FROM uses WHERE kind = 'image' AND used < ? AND name NOT IN (SELECT id FROM images)"
        self._db.execute(sql, (before,))

    def flush(self) -> None:
        """Writes what was noted."""
        rows = [(kind, name, at) for (kind, name), at in self._noted.items()]
        if rows:
            with self._db.transaction() as tx:
                tx.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", rows)
            self._noted.clear()

    async def keep_written(self) -> None:
        """For as long as the daemon lives: sleeps while nothing is used."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(DELAY)
                self.flush()
        finally:
            self.flush()
