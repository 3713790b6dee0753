"""A dry run of what is rows: done in a transaction that is rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager

from corten.store.db import Database


class _RollBack(Exception):
    """Ends a dry run."""


@contextmanager
def dry_run(db: Database) -> Iterator[None]:
    """Everything that the block writes into the database is undone at its end. The block must not wait for anything."""
    try:
        with db.transaction():
            yield
            raise _RollBack
    except _RollBack:
        pass


@contextmanager
def savepoint(db: Database) -> Iterator[None]:
    """A transaction, or inside one a part of it that an exception takes back alone."""
    with db.transaction() as tx:
        tx.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            tx.execute("ROLLBACK TO part")
            raise
        finally:
            tx.execute("RELEASE part")
