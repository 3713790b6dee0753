"""Last uses: noted when containers are made, start and end, and through restarts; a write for many runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from corten.engine.values.container import HostConfig, MountRequest
from corten.store.records import uses
from corten.store.records.uses import Uses
from tests.unit.engine.world import World
from tests.unit.engine.world import world as engine_world

VOLUME = HostConfig(network_mode="none", mounts=(MountRequest(type="volume", source="data", target="/data"),))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with engine_world(tmp_path) as made:
        yield made


def image_of(world: World) -> str:
    image = world.store.images.find("busybox")
    assert image is not None
    return image.id


async def test_what_containers_need_is_used(world: World) -> None:
    cleanup = world.engine.services.cleanup
    await world.engine.services.volumes.create("never")
    assert cleanup.uses.images() == cleanup.uses.volumes() == {}
    before = time.time_ns()
    container = await world.create("web", host=VOLUME)
    made = cleanup.uses.volumes()
    assert set(made) == {"data"}
    assert set(cleanup.uses.images()) == {image_of(world)}
    await world.engine.services.lifecycle.start(container)
    started = cleanup.uses.volumes()["data"]
    assert before < made["data"] < started
    world.monitors.exit(container, 0)
    await world.tasks.settled()
    ended = cleanup.uses.volumes()["data"]
    assert ended > started
    assert cleanup.uses.volumes()["data"] == ended  # nothing runs: no later than its end


async def test_what_runs_is_in_use_now(world: World) -> None:
    await world.run("web", host=VOLUME)
    uses = world.engine.services.cleanup.uses
    first = uses.volumes()["data"]
    assert uses.volumes()["data"] > first
    assert uses.images()[image_of(world)] > first


async def test_uses_survive_a_restart(tmp_path: Path) -> None:
    async with engine_world(tmp_path) as world:
        await world.create("web", host=VOLUME)
        world.engine.services.cleanup.records.flush()
        before = world.engine.services.cleanup.uses.volumes()
    async with engine_world(tmp_path) as world:
        assert world.engine.services.cleanup.uses.volumes() == before


async def test_many_runs_are_one_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "DELAY", 0.05)
    kept = Uses(world.store.db)
    writer = asyncio.create_task(kept.keep_written())
    changes = world.store.db.query_one("SELECT total_changes()")
    for number in range(50):
        kept.note("image", (f"image{number % 2}",))
    assert world.store.db.query_one("SELECT total_changes()") == changes
    await asyncio.sleep(0.2)
    assert set(Uses(world.store.db).all("image")) == {"image0", "image1"}
    kept.note("image", ("last",))
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    assert Uses(world.store.db).find("image", "last") == kept.find("image", "last") > 0


async def test_a_volume_of_the_same_name_starts_anew(world: World) -> None:
    kept = Uses(world.store.db)
    kept.note("volume", ("data",), 5)
    kept.flush()
    kept.forget("volume", "data")
    assert (kept.find("volume", "data"), kept.all("volume")) == (0, {})


async def test_images_that_are_gone_are_forgotten_in_time(world: World) -> None:
    kept = Uses(world.store.db)
    kept.note("image", (image_of(world), "gone"), 5)
    kept.flush()
    kept.forget_images(before=5)
    assert set(kept.all("image")) == {image_of(world), "gone"}
    kept.forget_images(before=6)
    assert set(kept.all("image")) == {image_of(world)}
