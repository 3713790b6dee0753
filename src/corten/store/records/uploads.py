"""Uploads that were begun at registries and are not known to have ended: where each goes on. They outlive the process.

A registry forgets an upload after some time (Docker's after a week), and so do we. One process works at one upload: while it is
claimed, others begin their own.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from corten.ids import Digest
from corten.store.db import Database, Migration

MIGRATIONS: Final = (
    Migration(
        "uploads",
        1,
        (
            """CREATE TABLE uploads (
                 repository TEXT NOT NULL, digest TEXT NOT NULL, location TEXT NOT NULL, noted INTEGER NOT NULL,
                 PRIMARY KEY (repository, digest)
               ) WITHOUT ROWID""",
        ),
    ),
)
KEPT_SECONDS: Final = 7 * 86400


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where the upload of one blob to one repository (its full name) goes on. Every call takes microseconds."""

    db: Database
    repository: str
    digest: Digest

    def find(self) -> str:
        """The URL that the registry named last; "" when none is known."""
        row = self.db.query_one("SELECT location FROM uploads WHERE repository = ? AND digest = ?", (self.repository, self.digest))
        return str(row[0]) if row else ""

    def note(self, location: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)", (self.repository, self.digest, location, time.time_ns()))

    def forget(self) -> None:
        self.db.execute("DELETE FROM uploads WHERE repository = ? AND digest = ?", (self.repository, self.digest))


class Uploads:
    """Thread-safe."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._claimed: set[tuple[str, Digest]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claimed(self, repository: str, digest: Digest) -> Iterator[Bookmark | None]:
        """The bookmark for the block alone; None while somebody else has it. Those that are too old go."""
        key = (repository, digest)
        with self._lock:
            is_mine = key not in self._claimed
            self._claimed.add(key)
        try:
            if is_mine:
                self._db.execute("DELETE FROM uploads WHERE noted < ?", (time.time_ns() - KEPT_SECONDS * 1_000_000_000,))
            yield Bookmark(self._db, repository, digest) if is_mine else None
        finally:
            if is_mine:
                with self._lock:
                    self._claimed.discard(key)
