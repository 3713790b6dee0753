"""The metadata database: SQLite in WAL mode, one connection per thread, schemas owned by the nouns that use them.

Two strengths of write:

* `transaction()` is atomic and survives `kill -9` of the daemon (the page cache does), about 20 µs: used in the event loop.
* `await sync()` after it makes everything committed so far survive a power failure, about 1 ms: one thread flushes the
  write-ahead log, many waiters share one flush, and SQLite's locks are not held meanwhile, so the loop never waits for the disk.

Checkpoints (which also wait for the disk) run in that same thread. Do no other I/O inside a transaction: writers are one at a time.
"""

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from corten.errors import EngineError, Unavailable
from corten.store.records.reserve import Reserve

Row = tuple[Any, ...]
Parameters = Sequence[Any]

_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0", "foreign_keys=ON", "cache_size=-1024")
_CHECKPOINT_BYTES = 4 << 20
_COMMITS_BETWEEN_LOOKS = 256


@dataclass(frozen=True, slots=True)
class Migration:
    """Step `version` (1, 2, … without gaps) of one noun's schema. Never edited once released: a change is a new step."""

    noun: str
    version: int
    statements: tuple[str, ...]


def _close_to_others(path: str) -> None:
    """SQLite makes a database with mode 0644, and its log with the database's own mode."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


class _Kept:
    """A thread's connection. It closes with the thread, whose local storage holds the only reference to this."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class _Local(threading.local):
    kept: _Kept | None = None
    depth = 0

    def __init__(self) -> None:
        self.committed: list[Callable[[], None]] = []


class Database:
    """One database file. All methods but `sync` block for microseconds and may be called in the event loop or in any thread."""

    def __init__(self, path: str, migrations: Sequence[Migration]) -> None:
        """Opens or makes the file and brings every noun's schema up to date. Raises EngineError when the file is unusable."""
        self._path = path
        self._local = _Local()
        self._writing = threading.RLock()
        self._kept: WeakSet[_Kept] = WeakSet()
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="corten-db")
        self._flush_waiting: asyncio.Future[None] | None = None
        self._commits = 0
        self.reserve = Reserve(os.path.join(os.path.dirname(path), "reserve"))
        try:
            _close_to_others(path)
            self._migrate(migrations)
        except EngineError:
            self.close()
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise _database_error(path, error) from error

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        return self._connection().execute(sql, parameters).fetchall()

    def query_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        row: Row | None = self._connection().execute(sql, parameters).fetchone()
        return row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block's statements or none. A transaction inside a transaction of the same thread joins it.

        Raises Unavailable (reason `disk-full`) when the disk is full; the block's own exceptions roll back and pass on.
        """
        connection = self._connection()
        if self._local.depth:
            yield connection
            return
        with self._writing:
            self.reserve.give()
            try:
                connection.execute("BEGIN IMMEDIATE")
                self._local.depth = 1
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    self._local.depth = 0
                    actions, self._local.committed = self._local.committed, []
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                raise _database_error(self._path, error) from error
            for action in actions:
                action()
        self._count_commit()

    def when_committed(self, action: Callable[[], None]) -> None:
        """Runs `action` when the surrounding transaction is committed (never when it is taken back); outside of one at once.

        For what memory keeps beside the rows: a full disk may refuse at the very end."""
        if self._local.depth:
            self._local.committed.append(action)
        else:
            action()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """One statement as a transaction (or as part of the current one); the number of rows it changed."""
        with self.transaction() as connection:
            return connection.execute(sql, parameters).rowcount

    async def sync(self) -> None:
        """Returns when everything committed before the call is on the disk. Calls made while a flush waits share it."""
        loop = asyncio.get_running_loop()
        waiting = self._flush_waiting
        if waiting is None or waiting.done() or waiting.get_loop() is not loop:
            waiting = self._flush_waiting = loop.create_future()
            loop.run_in_executor(self._flusher, self._flush_for, waiting, loop)
        await asyncio.shield(waiting)

    def sync_now(self) -> None:
        """`sync` for callers that are in a thread already. Raises OSError (ENOSPC, EIO)."""
        try:
            fd = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Checkpoints and closes every thread's connection; the object is of no use afterwards."""
        self._flusher.shutdown()
        for kept in list(self._kept):
            kept.connection.close()

    def _connection(self) -> sqlite3.Connection:
        kept = self._local.kept
        if kept is None:
            # Closed by `close`, which another thread calls: hence check_same_thread.
            kept = _Kept(sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False))
            try:
                for pragma in _PRAGMAS:
                    kept.connection.execute(f"PRAGMA {pragma}")
            except sqlite3.Error:
                kept.connection.close()
                raise
            self._local.kept = kept
            self._kept.add(kept)
        return kept.connection

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        with self.transaction() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS schema_versions (noun TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID")
            versions: dict[str, int] = dict(connection.execute("SELECT noun, version FROM schema_versions").fetchall())
            _refuse_newer(versions, migrations)
            for step in migrations:
                done = versions.get(step.noun, 0)
                if step.version <= done:
                    continue
                assert step.version == done + 1, f"migration {step.noun} {step.version} follows {done}"
                for statement in step.statements:
                    connection.execute(statement)
                versions[step.noun] = step.version
                connection.execute("INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", (step.noun, step.version))

    def _count_commit(self) -> None:
        self._commits += 1
        if self._commits % _COMMITS_BETWEEN_LOOKS:
            return
        self.reserve.renew()
        if os.stat(f"{self._path}-wal").st_size > _CHECKPOINT_BYTES:
            self._flusher.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _flush_for(self, waiting: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        # From here on new callers need a flush of their own: their commit may come after our fdatasync began.
        self._flush_waiting = None
        failure: OSError | None = None
        try:
            self.sync_now()
        except OSError as error:
            failure = error
        loop.call_soon_threadsafe(_settle, waiting, failure)


def _settle(waiting: asyncio.Future[None], failure: OSError | None) -> None:
    if waiting.done():
        return
    if failure is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(failure)


def _refuse_newer(versions: dict[str, int], migrations: Sequence[Migration]) -> None:
    known: dict[str, int] = {}
    for step in migrations:
        known[step.noun] = max(step.version, known.get(step.noun, 0))
    for noun, version in versions.items():
        if noun in known and version > known[noun]:
            raise EngineError(
                f"the database holds {noun} in version {version}, and this Corten knows versions up to {known[noun]}",
                reason="database-newer",
                hint="start the newer Corten that wrote it, or give this one another --data-root",
            )


def _database_error(path: str, error: sqlite3.Error | OSError) -> EngineError:
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return Unavailable(
            f"{path}: {os.strerror(errno.ENOSPC).lower()}", reason="disk-full", hint="free disk space, e.g. by `corten system prune`"
        )
    return EngineError(f"{path}: {error}", reason="database-unusable", hint="see docs/guides for moving the data root aside")
