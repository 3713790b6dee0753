"""Execs over processes that only pretend."""

import asyncio
from pathlib import Path

import pytest

from corten.engine.values.exec import ExecConfig
from corten.errors import Conflict, EngineError, Invalid, NotFound
from tests.unit.engine.world import world

CONFIG = ExecConfig(cmd=("sh", "-c", "x"), attach_stdout=True)


async def test_from_create_to_exit(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        execs = w.engine.services.execs
        exec_id = execs.create("web", CONFIG)
        assert not execs.get(exec_id).running
        await execs.start(exec_id, sock_fd=None)
        found = execs.get(exec_id)
        assert (found.running, found.pid, found.exit_code) == (True, 77, None)
        assert execs.running_in(container_id) == [exec_id]
        w.monitors.exec_exit(container_id, exec_id, 3)
        assert (execs.get(exec_id).running, execs.get(exec_id).exit_code) == (False, 3)
        assert execs.running_in(container_id) == []
        assert w.actions()[2:] == ["exec_create: sh -c x", "exec_start: sh -c x", "exec_die"]


async def test_start_twice(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        execs = w.engine.services.execs
        exec_id = execs.create("web", CONFIG)
        await execs.start(exec_id, sock_fd=None)
        with pytest.raises(Conflict, match=f"exec command {exec_id} is already running"):
            await execs.start(exec_id, sock_fd=None)
        w.monitors.exec_exit(container_id, exec_id, 0)
        with pytest.raises(Conflict, match=f"exec command {exec_id} has already run"):
            await execs.start(exec_id, sock_fd=None)


async def test_refusals(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create()
        execs = w.engine.services.execs
        with pytest.raises(Conflict, match=f"container {container_id} is not running"):
            execs.create("web", CONFIG)
        await w.engine.services.lifecycle.start("web")
        with pytest.raises(Invalid, match="No exec command specified"):
            execs.create("web", ExecConfig())
        with pytest.raises(NotFound, match="No such exec instance: nope"):
            execs.get("nope")
        exec_id = execs.create("web", CONFIG)
        with pytest.raises(Invalid, match="exec process is not started"):
            await execs.resize(exec_id, 1, 1)


async def test_a_failure_is_told_with_dockers_words_and_code(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        execs = w.engine.services.execs
        exec_id = execs.create("web", CONFIG)
        w.monitors.fails = EngineError('exec: "sh": executable file not found in $PATH', reason="exec-not-found")
        text = 'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH'
        with pytest.raises(Invalid) as caught:
            await execs.start(exec_id, sock_fd=None)
        assert caught.value.message == text
        assert execs.get(exec_id).exit_code == 127


async def test_a_resize_that_comes_while_it_starts_waits(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        execs = w.engine.services.execs
        exec_id = execs.create("web", CONFIG)
        async with asyncio.TaskGroup() as group:
            group.create_task(execs.start(exec_id, sock_fd=None))
            group.create_task(execs.resize(exec_id, 4, 5))
        assert w.monitors.of(container_id).sizes == [(4, 5, exec_id)]


async def test_an_exec_survives_the_daemon(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        execs = w.engine.services.execs
        running, over, idle = (execs.create("web", CONFIG) for _ in range(3))
        for exec_id in (running, over):
            await execs.start(exec_id, sock_fd=None)
        monitors = w.monitors
    monitors.exec_exit(container_id, over, 5)
    async with world(tmp_path, monitors) as w:
        execs = w.engine.services.execs
        assert execs.get(running).running
        assert execs.get(over).exit_code == 5
        assert not execs.get(idle).started
        await w.engine.services.removal.remove("web", force=True)
        for exec_id in (running, over, idle):
            with pytest.raises(NotFound):
                execs.get(exec_id)
