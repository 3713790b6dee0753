"""A transaction that is taken back: what would happen, found out by doing it."""

from collections.abc import Iterator
from contextlib import contextmanager

from corten.store.db import Database


class _TakenBack(Exception):
    """Ends a rehearsal."""


@contextmanager
def rehearsal(db: Database) -> Iterator[None]:
    """Everything that the block writes into the database is undone at its end. The block must not wait for anything."""
    try:
        with db.transaction():
            yield
            raise _TakenBack
    except _TakenBack:
        pass


@contextmanager
def all_or_nothing(db: Database) -> Iterator[None]:
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
