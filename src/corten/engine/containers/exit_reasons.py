"""Collects the evidence when a run is over, keeps the reason, and answers for it: also for containers that are gone, for an hour.

The log's tail and the container's values are taken at once (with `--rm` they go next); the kernel's log is read in a thread.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from corten.engine.containers.exit_reason_rules import Evidence, ExitReason, exit_reason
from corten.engine.paths import Paths
from corten.engine.tasks import Tasks
from corten.engine.values.container import Container
from corten.errors import NotFound
from corten.kernel.kmsg import Fault, OomKill, Record, faults, oom_kills, read_records
from corten.monitor.logs.decode import runs
from corten.monitor.logs.read import keep_tail, open_log
from corten.store.db import Database, Migration

MIGRATIONS = (
    Migration(
        "exit-reasons",
        1,
        (
            "CREATE TABLE exit_reasons (id TEXT PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL,"
            " exit_code INTEGER NOT NULL, code TEXT NOT NULL, cause TEXT NOT NULL, action TEXT NOT NULL) WITHOUT ROWID",
        ),
    ),
)
KEPT_NS: Final = 3600 * 10**9
TAIL: Final = 20
_SLACK_US: Final = 1_000_000
"""The kernel stamps records by another clock than the engine: it may differ by so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A container, by id and name at the time, and the reason. `at`: ns since the epoch, when it ended; 0 while it runs."""

    id: str
    name: str
    at: int
    exit_code: int
    reason: ExitReason


class ExitReasons:
    def __init__(self, database: Database, paths: Paths, tasks: Tasks, *, records: Callable[[], list[Record]] = read_records) -> None:
        self._database = database
        self._paths = paths
        self._tasks = tasks
        self._records = records
        self._pending: dict[str, asyncio.Task[None]] = {}

    def record(self, ended: Container, pid: int) -> None:
        """Call when a run that failed is over and before its log may go. `pid`: its main process, as the host numbered it."""
        evidence = Evidence(container=ended, log=log_tail(self._paths.log(ended.id)))
        task = self._tasks.spawn(self._record(evidence, pid), f"exit reason of {ended.name}")
        self._pending[ended.id] = task
        task.add_done_callback(lambda _: self._pending.pop(ended.id, None))

    async def of(self, container: Container, health: str = "") -> Explained:
        """The reason of a container that is there."""
        await self._settled(container.id)
        state = container.state
        kept = None if state.status in ("running", "paused") else self._kept("id = ?", container.id)
        if kept is not None and kept.at == state.finished_at:
            return kept
        reason = exit_reason(Evidence(container=container, log=log_tail(self._paths.log(container.id)), health=health))
        return Explained(id=container.id, name=container.name, at=state.finished_at, exit_code=state.exit_code, reason=reason)

    async def of_removed(self, ref: str) -> Explained:
        """By name, id or id prefix, the newest of a name. Raises NotFound when it is longer gone than an hour, or ended well."""
        for waiting in list(self._pending):
            await self._settled(waiting)
        name = ref.removeprefix("/")
        found = self._kept("name = ?", name)
        if found is None and re.fullmatch(r"[0-9a-f]+", name):
            found = self._kept("id GLOB ?", f"{name}*")
        if found is None:
            raise NotFound(
                f"No such container: {ref}", reason="no-such-container", hint="a failure is kept for an hour after a container is removed"
            )
        return found

    def _kept(self, where: str, value: str) -> Explained | None:
        since = time.time_ns() - KEPT_NS
        row = self._database.query_one(
            f"SELECT id, name, at, exit_code, code, cause, action FROM exit_reasons WHERE {where}"
            " AND (at > ? OR id IN (SELECT id FROM containers)) ORDER BY at DESC LIMIT 1",
            (value, since),
        )
        if row is None:
            return None
        return Explained(id=row[0], name=row[1], at=row[2], exit_code=row[3], reason=ExitReason(code=row[4], cause=row[5], action=row[6]))

    async def _settled(self, container_id: str) -> None:
        task = self._pending.get(container_id)
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(task)

    async def _record(self, evidence: Evidence, pid: int) -> None:
        container, state = evidence.container, evidence.container.state
        records = await asyncio.to_thread(self._records)
        recent = [record for record in records if record.at >= _since_boot(state.started_at)]
        kill = find_kill(oom_kills(recent), container.id)
        fault = None if kill else find_fault(faults(recent), pid)
        reason = exit_reason(replace(evidence, oom=kill, fault=fault))
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM exit_reasons WHERE at < ? AND id NOT IN (SELECT id FROM containers)", (time.time_ns() - KEPT_NS,)
            )
            connection.execute(
                "INSERT OR REPLACE INTO exit_reasons VALUES (?, ?, ?, ?, ?, ?, ?)",
                (container.id, container.name, state.finished_at, state.exit_code, reason.code, reason.cause, reason.action),
            )


def find_kill(kills: Iterable[OomKill], container_id: str) -> OomKill | None:
    """The last kill in the container's own control group, or one below it."""
    return next((kill for kill in reversed(list(kills)) if container_id in kill.cgroup), None)


def find_fault(found: Iterable[Fault], pid: int) -> Fault | None:
    return next((fault for fault in reversed(list(found)) if fault.pid == pid), None)


def log_tail(path: str, lines: int = TAIL) -> tuple[str, ...]:
    """The last lines of a json-file log, oldest first; none when there is no log."""
    files = keep_tail(open_log(path, 1), lines)
    try:
        blocks = [block for file in files if (block := file.block())]
    finally:
        for file in files:
            file.close()
    texts = [text for block in blocks for run in runs(block) for text in run.texts]
    return tuple(line for text in texts for line in text.decode("utf-8", "replace").splitlines())[-lines:]


def _since_boot(at: int) -> int:
    """A wall-clock moment in ns as the kernel log's microseconds since boot."""
    return max(0, (time.monotonic_ns() - (time.time_ns() - at)) // 1000 - _SLACK_US)
