"""`image verify`: what is told of whole and damaged layers, and what a repair does."""

import os
from pathlib import Path

import pytest

from corten.engine.images.verification import LayerReport
from corten.errors import NotFound, Unavailable
from corten.ids import DiffId
from corten.store.layertar.unpack import unpack_layer
from corten.store.records.leases import Lease
from tests.unit.engine.images.ground import Ground
from tests.unit.store.tarballs import Member, tarball


async def verified(ground: Ground, *names: str, repair: bool = False) -> list[LayerReport]:
    return [found async for found in ground.images.verification.verify(names, repair=repair)]


def spoil(ground: Ground, layer: DiffId, name: str) -> Path:
    path = Path(ground.store.layers.path(layer)) / name
    path.write_bytes(b"z" * path.stat().st_size)
    return path


async def test_each_layer_is_told_once(ground: Ground) -> None:
    shared, own = ground.layer("shared"), ground.layer("own")
    ground.image("a:1", layers=(shared,))
    ground.image("b:1", layers=(shared, own))
    lone = ground.layer("lone")
    found = await verified(ground, "a:1", "b:1")
    assert [(v.layer, v.state, v.files, v.size) for v in found] == [(shared, "whole", 1, 100), (own, "whole", 1, 100)]
    assert sorted(found[0].images) == ["a:1", "b:1"]
    assert {v.layer for v in await verified(ground)} == {shared, own, lone}
    with pytest.raises(NotFound, match="No such image: c:1"):
        await verified(ground, "c:1")


async def test_damage_is_named_and_noted_until_it_is_gone(ground: Ground) -> None:
    layer = ground.layer("f")
    ground.image("a:1", layers=(layer,))
    path = spoil(ground, layer, "f")
    for repair in (False, True):
        (found,) = await verified(ground, "a:1", repair=repair)
        assert (found.state, [(f.kind, f.path) for f in found.faults]) == ("damaged", [("changed", "/f")])
        assert bool(found.problem) is repair
    assert ground.store.layers.damage.is_noted(layer)
    path.write_bytes(b"x" * 100)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert (await verified(ground, "a:1"))[0].state == "whole"
    assert not ground.store.layers.damage.is_noted(layer)


async def test_a_repair_puts_a_whole_layer_in_its_place(ground: Ground) -> None:
    layer = ground.layer("f")
    ground.image("a:1", layers=(layer,))

    def again(diff_id: DiffId, lease: Lease) -> None:
        unpack_layer(ground.store.layers, iter([tarball([Member("f", data=b"x" * 100)])]), lease=lease, expected=diff_id)

    ground.refetched.work = again
    path = spoil(ground, layer, "f")
    (found,) = await verified(ground, "a:1", repair=True)
    assert (found.state, found.origin, found.problem) == ("repaired", "registry.test/x", "")
    assert path.read_bytes() == b"x" * 100
    assert ("repair", "") in ground.happened()
    assert (await verified(ground, "a:1"))[0].state == "whole"


async def test_a_repair_that_fails_says_why_and_changes_nothing(ground: Ground) -> None:
    layer = ground.layer("f")
    ground.image("a:1", layers=(layer,))
    path = spoil(ground, layer, "f")

    def unreachable(diff_id: DiffId, lease: Lease) -> None:
        raise Unavailable("no route to host", reason="registry-unreachable", hint="try again")

    ground.refetched.work = unreachable
    (found,) = await verified(ground, "a:1", repair=True)
    assert (found.state, found.problem, found.hint) == ("damaged", "no route to host", "try again")
    assert path.read_bytes() == b"z" * 100
