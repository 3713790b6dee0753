"""What volumes and writable layers took on disk when they were last measured: kept, so that nobody has to walk them to ask.

`stamp` is the caller's: a figure is no good any more once it differs.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from corten.store.db import Database, Migration

MIGRATIONS: Final = (
    Migration(
        "figures",
        1,
        (
            """CREATE TABLE figures (
                 kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL, cost INTEGER NOT NULL,
                 stamp TEXT NOT NULL, PRIMARY KEY (kind, name)
               ) WITHOUT ROWID""",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """`size`: bytes of the files, each inode once, directories not counted. `at`: ns since the epoch, before the walk began; `cost`:
    ns that it took."""

    size: int
    at: int
    cost: int
    stamp: str = ""


class Figures:
    """Microseconds per call."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self, kind: str) -> dict[str, Figure]:
        rows = self._db.query("SELECT name, size, at, cost, stamp FROM figures WHERE kind = ?", (kind,))
        return {name: Figure(*rest) for name, *rest in rows}

    def keep(self, kind: str, name: str, figure: Figure) -> None:
        row = (kind, name, figure.size, figure.at, figure.cost, figure.stamp)
        self._db.execute("INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, kind: str, names: Iterable[str]) -> None:
        with self._db.transaction() as tx:
            tx.executemany("DELETE FROM figures WHERE kind = ? AND name = ?", [(kind, name) for name in names])


def walk(path: str, *, stamp: str = "", between: Callable[[], None] = lambda: None) -> Figure:
    """Measures the tree at `path`, following no link; a missing one is empty. `between` is called for each directory and may raise."""
    at, begun = time.time_ns(), time.perf_counter_ns()
    seen: set[tuple[int, int]] = set()
    size = 0
    pending = [path]
    while pending:
        between()
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if found.st_nlink > 1:
                        key = (found.st_dev, found.st_ino)
                        if key in seen:
                            continue
                        seen.add(key)
                    size += found.st_size
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    return Figure(size, at, time.perf_counter_ns() - begun, stamp)
