"""Which stored layers were found damaged. Such a layer counts as missing to whoever could bring it again, and the next one replaces it."""

import time
from typing import Final

from corten.ids import DiffId
from corten.store.db import Database, Migration

MIGRATIONS: Final = (
    Migration("layers", 3, ("CREATE TABLE damaged_layers (diff_id TEXT PRIMARY KEY, found INTEGER NOT NULL) WITHOUT ROWID",)),
)
REPLACED: Final = "replaced"
"""Where, in a layer's directory, the one that it replaced waits until no container stands on it."""


class Damage:
    """Every call takes microseconds and joins a surrounding transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, diff_id: DiffId) -> None:
        self._db.execute("INSERT OR REPLACE INTO damaged_layers VALUES (?, ?)", (diff_id, time.time_ns()))

    def forget(self, diff_id: DiffId) -> None:
        """The layer is whole again, or gone."""
        self._db.execute("DELETE FROM damaged_layers WHERE diff_id = ?", (diff_id,))

    def is_noted(self, diff_id: DiffId) -> bool:
        return self._db.query_one("SELECT 1 FROM damaged_layers WHERE diff_id = ?", (diff_id,)) is not None

    def is_stacked(self, diff_id: DiffId) -> bool:
        """Whether a container, which may be running, has the layer under it."""
        return self._db.query_one("SELECT 1 FROM snapshots s, json_each(s.layers) j WHERE j.value = ? LIMIT 1", (diff_id,)) is not None
