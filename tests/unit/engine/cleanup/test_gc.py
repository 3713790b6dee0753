"""Garbage collection over a real store: what goes by itself, what stays, what is told."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from corten.engine.cleanup.gc.collection import GcOverrides
from corten.engine.cleanup.gc.loop import GcLoop
from corten.engine.cleanup.service import Cleanup
from corten.gcpolicy import BuildCacheRule, DiskSpace, GcPolicy
from corten.ids import ImageId
from tests.unit.engine.images.ground import Ground
from tests.unit.engine.world import World
from tests.unit.engine.world import world as engine_world

OLD = 5
POLICY = GcPolicy(keep=3600, pin=("pinned*",))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with engine_world(tmp_path, gc=POLICY) as made:
        yield made


def image(world: World, *names: str, age: int = OLD, labels: Mapping[str, str] = {}) -> ImageId:
    """An image of one layer of its own, last used long ago."""
    ground = Ground(world.store, world.engine.services.images, world.events)
    layer = ground.layer("".join(names).partition("@")[0].replace(":", "-") or "nameless")
    ground.release_layers()
    made = ground.image(*names, layers=(layer,), Labels=labels)
    world.store.db.execute("UPDATE images SET added = ? WHERE id = ?", (age, made))
    world.store.db.execute("UPDATE image_names SET tagged = ? WHERE image = ?", (age, made))
    return made


def gc_loop(cleanup: Cleanup, rules: Sequence[BuildCacheRule] = ()) -> GcLoop:
    return cleanup.gc_loop(rules)


def names(world: World) -> set[str]:
    return {name for image in world.store.images.all() for name in image.repo_tags or ("<none>",)}


async def test_the_daemon_clears_by_itself_between_its_marks(world: World) -> None:
    cleanup = world.engine.services.cleanup
    for name in ("one", "two", "pinned"):
        image(world, name, f"{name}@sha256:{'a' * 64}" if name == "one" else f"{name}:two")
    await world.engine.services.volumes.create("data")
    await world.engine.services.volumes.create("removed")
    Path(world.engine.services.volumes.mountpoint(world.engine.services.volumes.get("removed")), "file").write_bytes(bytes(50))
    await world.engine.services.volumes.remove("removed")
    cleanup.gc.disk = lambda: (90, 100)
    await gc_loop(cleanup).run_once()
    assert names(world) >= {"one:latest", "two:latest"}
    cleanup.gc.disk = lambda: (910, 1000)
    await gc_loop(cleanup).run_once()  # 110 bytes are wanted: 50 from the trash, 100 of an image that a registry has
    assert world.store.bin.all() == []
    assert names(world) == {"busybox:latest", "two:latest", "two:two", "pinned:latest", "pinned:two"}
    assert [volume.name for volume in world.engine.services.volumes.list({})] == ["data"]
    told = {e.type: e.attributes for e in world.events.past(0, None, {"event": ["purge", "evict"]})}
    assert told["volume"]["reason"] == "the disk is fuller than 90%: in the trash"
    assert told["image"] == {
        "name": "one:latest",
        "reason": "the disk is fuller than 90%: no container, not used for 1h",
        "size": "100",
    }


async def test_used_protected_and_fresh_images_stay(world: World) -> None:
    cleanup = world.engine.services.cleanup
    image(world, "used")
    image(world, "labelled", labels={"corten.protected": ""})
    image(world, "fresh", age=2**62)
    image(world)
    image(world, "old", "old:two")
    await world.create("web", image="used")
    cleanup.gc.disk = lambda: (1000, 1000)
    said = await cleanup.gc.plan(GcOverrides(low=DiskSpace(1)))
    done = await cleanup.gc.run(GcOverrides(low=DiskSpace(1)), reason="test")
    assert [v.candidate.name for v in done.plan.going] == [v.candidate.name for v in said.plan.going]
    assert done.plan.freed == said.plan.freed == done.reclaimed
    assert names(world) == {"busybox:latest", "used:latest", "labelled:latest", "fresh:latest"}
    why = {v.candidate.name: v.why for v in done.plan.staying}
    assert why["used:latest"] == "container web needs it"
    assert why["labelled:latest"] == "protected by its label corten.protected"
    assert why["fresh:latest"] == "used within 1h"
    assert world.store.bin.all() == []  # past the trash: room was wanted


async def test_a_dry_run_changes_nothing_and_without_keep_only_the_trash_goes(tmp_path: Path) -> None:
    async with engine_world(tmp_path, gc=GcPolicy()) as world:
        gc = world.engine.services.cleanup.gc
        image(world, "old")
        gc.disk = lambda: (100, 100)
        assert (await gc.run(reason="test")).plan.going == ()
        assert [v.candidate.name for v in (await gc.plan(GcOverrides(keep=60))).plan.going] == ["old:latest"]
        assert "old:latest" in names(world)
        await gc.run(GcOverrides(keep=60), reason="test")
        assert "old:latest" not in names(world)


async def test_what_somebody_begins_to_use_meanwhile_stays(world: World) -> None:
    made = image(world, "old")
    await world.create("web", image="old")
    assert await world.engine.services.images.removal.evict(made) is None
    assert await world.engine.services.images.removal.evict(ImageId("sha256:" + "0" * 64)) is None
    assert "old:latest" in names(world)


async def test_build_cache_goes_with_its_layers(world: World) -> None:
    gc, cache = world.engine.services.cleanup.gc, world.engine.services.builds.cache
    ground = Ground(world.store, world.engine.services.images, world.events)
    cache.put("recipe", ground.layer("step", 40), "RUN true")
    ground.release_layers()
    mount = world.engine.services.builds.caches.ensure("pip")
    Path(mount, "wheel").write_bytes(bytes(30))
    world.store.db.execute("UPDATE build_cache SET used = 5")
    world.store.db.execute("UPDATE cache_mounts SET used = 5")
    gc.disk = lambda: (100, 100)
    done = await gc.run(GcOverrides(low=DiskSpace(1)), reason="test")
    assert [(v.candidate.name, v.size) for v in done.plan.going] == [("RUN true", 40), ("pip", 30)]
    assert cache.entries() == []
    assert not Path(mount).exists()
    assert world.store.layers.all() == []


async def test_the_next_look_comes_the_sooner_the_fuller_the_disk(world: World) -> None:
    cleanup = world.engine.services.cleanup
    pauses = []
    for used in (0, 899, 900, 901):
        cleanup.gc.disk = lambda used=used: (used << 30, 1000 << 30)  # type: ignore[misc]
        pauses.append(gc_loop(cleanup).pause())
    assert pauses == [60.0, 0.5, 5.0, 5.0]


async def test_rules_keep_the_build_cache_small(world: World) -> None:
    cleanup, cache = world.engine.services.cleanup, world.engine.services.builds.cache
    ground = Ground(world.store, world.engine.services.images, world.events)
    for name in ("one", "two"):
        cache.put(name, ground.layer(name, 40), f"RUN {name}")
    ground.release_layers()
    world.store.db.execute("UPDATE build_cache SET used = 5 WHERE key = 'one'")
    rules = [BuildCacheRule(unused=10**6, types=("exec.cachemount",)), BuildCacheRule(keep=DiskSpace(1000)), BuildCacheRule(unused=3600)]
    await gc_loop(cleanup, rules).run_once()
    assert [entry.key for entry in cache.entries()] == ["two"]
    told = [event.attributes for event in world.events.past(0, None, {"type": ["builder"]})]
    assert told == [{"reason": "a rule of builder.gc"}]
    await gc_loop(cleanup, rules).run_once()  # nothing goes, nothing is told
    assert len(world.events.past(0, None, {"type": ["builder"]})) == 1


async def test_rules_apply_just_after_the_machine_has_booted(world: World) -> None:
    cleanup, cache = world.engine.services.cleanup, world.engine.services.builds.cache
    ground = Ground(world.store, world.engine.services.images, world.events)
    cache.put("one", ground.layer("one", 40), "RUN one")
    ground.release_layers()
    world.store.db.execute("UPDATE build_cache SET used = 5")
    loop = GcLoop(cleanup.gc, cleanup.trash, cleanup.prunes.caches, rules=[BuildCacheRule(unused=3600)], clock=lambda: 1.0)
    await loop.run_once()
    assert cache.entries() == []
