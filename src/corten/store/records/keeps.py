"""Keeps: rows somewhere else in the database (the build cache's, say) that need a layer until they let go of it."""

from typing import Final

from corten.ids import DiffId
from corten.store.db import Database, Migration

MIGRATIONS: Final = (Migration("layers", 2, ("CREATE TABLE keeps (keeper TEXT PRIMARY KEY, diff_id TEXT NOT NULL) WITHOUT ROWID",)),)


class Keeps:
    """Both calls join a surrounding transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def keep(self, keeper: str, diff_id: DiffId) -> None:
        """`keeper` needs the layer from now on."""
        self._db.execute("INSERT OR REPLACE INTO keeps VALUES (?, ?)", (keeper, diff_id))

    def let_go(self, keeper: str) -> None:
        self._db.execute("DELETE FROM keeps WHERE keeper = ?", (keeper,))

    def let_go_older(self, prefix: str, before: int) -> None:
        """Forget keepers of that prefix whose layers were added before that moment (ns)."""
        self._db.execute(
            "DELETE FROM keeps WHERE substr(keeper, 1, ?) = ? AND diff_id NOT IN (SELECT diff_id FROM layers WHERE added >= ?)",
            (len(prefix), prefix, before),
        )
