"""Evidence is taken once, kept, and there for an hour after the container is gone."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.containers import exit_reasons
from corten.engine.containers.exit_reasons import KEPT_NS, ExitReasons, log_tail
from corten.engine.paths import Paths
from corten.engine.records import containers
from corten.engine.records.containers import ContainerCatalog
from corten.engine.tasks import Tasks
from corten.errors import NotFound
from corten.kernel.kmsg import Record
from corten.store.db import Database
from tests.unit.engine.containers.test_exit_reason_rules import container

NOW = time.time_ns()
ID = "a" * 64
PATHS = Paths("/nowhere", "/nowhere")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "corten.db"), (*containers.MIGRATIONS, *exit_reasons.MIGRATIONS))
    yield database
    database.close()


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks() as running:
        yield running


def oom_records(at: int) -> list[Record]:
    return [
        Record(at, f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,task_memcg=/corten/{ID},task=python3,pid=8,uid=0"),
        Record(at, "Memory cgroup out of memory: Killed process 8 (python3) total-vm:9kB, anon-rss:2048kB, file-rss:0kB, shmem-rss:0kB"),
    ]


def now_since_boot() -> int:
    return time.monotonic_ns() // 1000


async def test_a_kill_during_the_run_is_the_reason(database: Database, tasks: Tasks) -> None:
    reasons = ExitReasons(database, PATHS, tasks, records=lambda: oom_records(now_since_boot()))
    ended = container(64 << 20, exit_code=137, started_at=NOW, finished_at=NOW)
    reasons.record(ended, 8)
    found = await reasons.of(ended)
    assert found.reason.code == "oom-container"
    assert "python3 (pid 8, 2 MiB" in found.reason.cause


async def test_a_kill_of_an_earlier_run_is_not(database: Database, tasks: Tasks) -> None:
    reasons = ExitReasons(database, PATHS, tasks, records=lambda: oom_records(0))
    ended = container(exit_code=1, started_at=NOW, finished_at=NOW)
    reasons.record(ended, 8)
    assert (await reasons.of(ended)).reason.code == "failed"


async def test_it_outlives_the_container_for_an_hour(database: Database, tasks: Tasks) -> None:
    reasons = ExitReasons(database, PATHS, tasks, records=list)
    reasons.record(container(exit_code=3, started_at=NOW, finished_at=NOW), 8)
    for ref in ("train", "/train", ID, ID[:12]):
        assert (await reasons.of_removed(ref)).reason.code == "failed"
    old = container(exit_code=3, started_at=1, finished_at=NOW - KEPT_NS - 1)
    reasons.record(old, 8)
    with pytest.raises(NotFound, match="No such container: train"):
        await reasons.of_removed("train")
    ContainerCatalog(database).add(old)
    assert (await reasons.of(old)).at == old.state.finished_at


async def test_a_later_run_is_not_told_the_former_reason(database: Database, tasks: Tasks) -> None:
    reasons = ExitReasons(database, PATHS, tasks, records=lambda: oom_records(now_since_boot()))
    ended = container(exit_code=137, started_at=NOW, finished_at=NOW)
    reasons.record(ended, 8)
    again = replace(ended, state=replace(ended.state, exit_code=0, finished_at=NOW + 5))
    assert (await reasons.of(again)).reason.code == "finished"


async def test_no_wildcard_reaches_the_database(database: Database, tasks: Tasks) -> None:
    reasons = ExitReasons(database, PATHS, tasks, records=list)
    reasons.record(container(exit_code=3, finished_at=NOW), 8)
    for ref in ("*", "a*", "%", "' OR 1=1"):
        with pytest.raises(NotFound):
            await reasons.of_removed(ref)


def test_the_tail_is_what_was_said_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f'{{"log":"line {n}\\n","stream":"stdout","time":"2026-01-01T00:00:00.{n:09}Z"}}\n' for n in range(50)))
    assert log_tail(str(log), 3) == ("line 47", "line 48", "line 49")
    assert log_tail(str(tmp_path / "none")) == ()
