"""The build cache: which layer a step made, by cache key.

A row says that the step of cache key `key` makes `layer` ("" = no files). A row keeps its layer until it is dropped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from corten.ids import DiffId
from corten.store.db import Database, Migration
from corten.store.layers import Layers
from corten.store.records.leases import Lease

MIGRATIONS: Final = (
    Migration(
        "build_cache",
        1,
        (
            """CREATE TABLE build_cache (
                 key TEXT PRIMARY KEY, layer TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
                 uses INTEGER NOT NULL
               ) WITHOUT ROWID""",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """Times are ns since the epoch, `size` bytes of its layer's files."""

    key: str
    layer: DiffId | None
    name: str
    created: int
    used: int
    uses: int
    size: int


class BuildCache:
    """Every method takes microseconds."""

    def __init__(self, db: Database, layers: Layers) -> None:
        self._db = db
        self._layers = layers

    def find(self, key: str, lease: Lease) -> tuple[DiffId | None] | None:
        """(layer,) when the key is known and its layer is there, now held by `lease`; None otherwise."""
        row = self._db.query_one("SELECT layer FROM build_cache WHERE key = ?", (key,))
        if row is None:
            return None
        layer = DiffId(row[0])
        if layer and self._layers.hold(layer, lease) is None:
            self._db.execute("DELETE FROM build_cache WHERE key = ?", (key,))
            return None
        self._db.execute("UPDATE build_cache SET used = ?, uses = uses + 1 WHERE key = ?", (time.time_ns(), key))
        return (layer or None,)

    def created(self, key: str) -> int | None:
        """When the step was last run, in ns since the epoch; None when it is not known."""
        row = self._db.query_one("SELECT created FROM build_cache WHERE key = ?", (key,))
        return None if row is None else int(row[0])

    def put(self, key: str, layer: DiffId | None, name: str, created: int | None = None) -> None:
        """`created` (ns since the epoch) None is now."""
        now = time.time_ns()
        with self._db.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, 1)",
                (key, layer or "", name, now if created is None else created, now),
            )
            if layer:
                self._layers.keeps.keep(_keeper(key), layer)

    def entries(self) -> list[CacheEntry]:
        """Least recently used first."""
        sql = """SELECT c.key, c.layer, c.name, c.created, c.used, c.uses, coalesce(l.size, 0)
                   FROM build_cache c LEFT JOIN layers l ON l.diff_id = c.layer ORDER BY c.used"""
        return [CacheEntry(k, DiffId(layer) if layer else None, *rest) for k, layer, *rest in self._db.query(sql)]

    def drop(self, key: str) -> None:
        """Drops one entry; its layer goes with the next collection unless something else holds it."""
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM build_cache WHERE key = ?", (key,))
            self._layers.keeps.let_go(_keeper(key))

    def forget(self, choose: Callable[[CacheEntry], bool]) -> list[CacheEntry]:
        """Drops the entries that `choose` says yes to; their layers go with the next collection unless an image has them."""
        gone = [entry for entry in self.entries() if choose(entry)]
        with self._db.transaction():
            for entry in gone:
                self.drop(entry.key)
        return gone


def _keeper(key: str) -> str:
    return f"build:{key}"
