import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corten.errors import Conflict, EngineError, Unavailable
from corten.store.db import Database, Migration

FIRST = Migration("things", 1, ("CREATE TABLE things (name TEXT PRIMARY KEY)",))
SECOND = Migration("things", 2, ("ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7",))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.db")


@pytest.fixture
def db(path: str) -> Iterator[Database]:
    opened = Database(path, [FIRST])
    yield opened
    opened.close()


def test_migrations_run_once_and_in_order(path: str) -> None:
    first = Database(path, [FIRST])
    first.execute("INSERT INTO things VALUES ('a')")
    first.close()
    second = Database(path, [FIRST, SECOND])
    assert second.query("SELECT * FROM things") == [("a", 7)]
    second.close()
    with pytest.raises(EngineError, match="things in version 2") as error:
        Database(path, [FIRST])
    assert error.value.reason == "database-newer"
    Database(path, []).close()


def test_a_failed_migration_leaves_the_schema_as_it_was(path: str) -> None:
    Database(path, [FIRST]).close()
    with pytest.raises(EngineError):
        Database(path, [FIRST, Migration("things", 2, ("CREATE TABLE more (x)", "CREATE TABLE things (x)"))])
    opened = Database(path, [FIRST])
    assert opened.query("SELECT name FROM sqlite_master WHERE name = 'more'") == []
    opened.close()


def test_a_transaction_is_all_or_nothing_and_nests(db: Database) -> None:
    def both() -> None:
        with db.transaction() as outer:
            outer.execute("INSERT INTO things VALUES ('a')")
            with db.transaction() as inner:
                inner.execute("INSERT INTO things VALUES ('b')")
            assert db.execute("INSERT INTO things VALUES ('c')") == 1
            raise Conflict("no")

    with pytest.raises(Conflict):
        both()
    assert db.query("SELECT * FROM things") == []
    db.execute("INSERT INTO things VALUES ('d')")
    assert db.query_one("SELECT name FROM things") == ("d",)


def test_a_broken_rule_passes_on_and_rolls_back(db: Database) -> None:
    db.execute("INSERT INTO things VALUES ('a')")
    with pytest.raises(sqlite3.IntegrityError), db.transaction() as tx:
        tx.executemany("INSERT INTO things VALUES (?)", [("b",), ("a",)])
    assert db.query("SELECT * FROM things") == [("a",)]


def test_threads_write_side_by_side(db: Database) -> None:
    def write(prefix: str) -> None:
        for number in range(50):
            db.execute("INSERT INTO things VALUES (?)", (f"{prefix}{number}",))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.query_one("SELECT count(*) FROM things") == (200,)


async def test_waiters_share_a_flush(path: str) -> None:
    """One flush may be under way already when the others come: they share the next."""

    class Counted(Database):
        flushes = 0

        def sync_now(self) -> None:
            self.flushes += 1
            super().sync_now()

    db = Counted(path, [FIRST])
    db.execute("INSERT INTO things VALUES ('a')")
    await asyncio.gather(*(db.sync() for _ in range(20)))
    shared = db.flushes
    await db.sync()
    db.close()
    assert 1 <= shared <= 2
    assert db.flushes == shared + 1, "who comes later has a flush of his own"


def test_a_full_disk_has_a_name(db: Database) -> None:
    db.query("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable, match="no space left on device") as error:
        db.execute("INSERT INTO things VALUES (?)", ("x" * 50_000,))
    assert error.value.reason == "disk-full"


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.db"
    path.write_bytes(b"noise" * 1000)
    with pytest.raises(EngineError) as error:
        Database(str(path), [FIRST])
    assert error.value.reason == "database-unusable"


def test_connections_of_ended_threads_are_closed(db: Database, path: str) -> None:
    def open_files() -> int:
        return sum(path in os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))

    for _ in range(10):
        thread = threading.Thread(target=db.query, args=("SELECT 1",))
        thread.start()
        thread.join()
    assert open_files() <= 3 * 2


def _refused(db: Database, action: Callable[[], None]) -> None:
    with db.transaction():
        db.when_committed(action)
        raise Conflict("no")


def test_what_memory_keeps_follows_the_outermost_commit(db: Database) -> None:
    done: list[str] = []
    with db.transaction():
        with db.transaction():
            db.when_committed(lambda: done.append("inner"))
        assert done == []
    assert done == ["inner"]
    with pytest.raises(Conflict):
        _refused(db, lambda: done.append("taken back"))
    db.execute("INSERT INTO things VALUES ('a')")
    db.when_committed(lambda: done.append("at once"))
    assert done == ["inner", "at once"]
