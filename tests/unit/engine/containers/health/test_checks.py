"""When probes run and when they do not, over processes that only pretend."""

import asyncio
from pathlib import Path

from corten.engine.values.container import HealthCheck
from corten.errors import EngineError
from tests.unit.engine.world import FakeMonitors, World, world

MS = 10**6


def check(**more: int) -> HealthCheck:
    return HealthCheck(test=("CMD", "probe"), interval=MS, **more)


async def probes(w: World, container_id: str, count: int) -> list[str]:
    """The ids of the first `count` probes, once they are there."""
    async with asyncio.timeout(20):
        while len(found := list(w.monitors.of(container_id).live.execs)) < count:
            await asyncio.sleep(0.001)
    return found


async def noted(w: World, count: int) -> None:
    async with asyncio.timeout(20):
        while len(w.get("web").state.health.log) < count:  # type: ignore[union-attr]
            await asyncio.sleep(0.001)


async def test_the_next_one_comes_after_the_last_has_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(healthcheck=check())
        (first,) = await probes(w, container_id, 1)
        await asyncio.sleep(0.02)
        assert len(await probes(w, container_id, 1)) == 1
        w.monitors.exec_exit(container_id, first, 0)
        await probes(w, container_id, 2)
        await w.engine.services.lifecycle.stop("web")


async def test_what_ended_is_probed_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(healthcheck=check())
        await probes(w, container_id, 1)
        await w.engine.services.lifecycle.stop("web")
        await w.tasks.settled()
        state = w.get("web").state.health
        assert state is not None
        assert (state.status, state.log) == ("unhealthy", ())


async def test_a_probe_under_way_is_killed_by_a_pause(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(healthcheck=check())
        (probe,) = await probes(w, container_id, 1)
        await w.engine.services.lifecycle.pause("web")
        await w.tasks.settled()
        assert w.monitors.of(container_id).live.execs[probe].exit_code == 137
        assert w.get("web").state.health.log == ()  # type: ignore[union-attr]
        await w.engine.services.lifecycle.unpause("web")
        await probes(w, container_id, 2)
        await w.engine.services.lifecycle.stop("web")


async def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run(healthcheck=check(timeout=5 * MS, retries=1))
        await noted(w, 1)
        health = w.get("web").state.health
        assert health is not None
        assert health.status == "unhealthy"
        assert (health.log[0].exit_code, health.log[0].output) == (-1, "Health check exceeded timeout (5ms)")
        await w.engine.services.lifecycle.stop("web")


async def test_one_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run(healthcheck=check())
        w.monitors.fails = EngineError("no such thing", reason="exec-not-found")
        await noted(w, 1)
        health = w.get("web").state.health
        assert health is not None
        assert health.log[0].exit_code == -1
        assert "no such thing" in health.log[0].output
        w.monitors.fails = None
        await w.engine.services.lifecycle.stop("web")


async def test_a_new_daemon_goes_on_and_ends_what_the_last_one_left(tmp_path: Path) -> None:
    monitors = FakeMonitors()
    async with world(tmp_path, monitors) as w:
        container_id = await w.run(healthcheck=HealthCheck(test=("CMD", "probe"), interval=3600 * 10**9))
        left = "e" * 64
        await monitors.exec_start(container_id, left, {}, options={})  # type: ignore[typeddict-item]
    async with world(tmp_path, monitors) as w:
        assert w.get("web").state.health.status == "starting"  # type: ignore[union-attr]
        await w.tasks.settled()
        assert monitors.of(container_id).live.execs[left].exit_code == 137
        await w.engine.services.lifecycle.stop("web")
        assert w.get("web").state.health.status == "unhealthy"  # type: ignore[union-attr]
