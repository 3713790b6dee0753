"""`kill -9` and full disks in copy-up, removals, prunes, restores and emptying: held against a model of what should be there."""

import asyncio
import functools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from corten.errors import EngineError
from corten.kernel.mount import MS_PRIVATE, MS_REC, mount
from corten.kernel.namespaces import CLONE_NEWNS, unshare
from tests.integration.cleanup.model import Op, Refused, State, after, check, some_op
from tests.integration.cleanup.player import GC, Player
from tests.integration.test_store_faults import check_whole
from tests.support.forked import forked
from tests.unit.engine.world import World, world

T = TypeVar("T")
pytestmark = pytest.mark.privileged
KILLS = int(os.environ.get("CORTEN_KILLS", "30"))
FULL_DISKS = 8


def killed(root: Path, seed: int) -> list[tuple[Op, bool | None]]:
    """What a worker did until it died: operations, and whether they worked (None: cut short)."""
    moves = random.Random(seed)
    before = moves.choice((-1, 0, 0, 1, 2, 4, 7))
    point = 1 + int(moves.expovariate(1 / 40))
    command = [sys.executable, "-m", "tests.integration.cleanup.worker", str(root), str(seed), str(before), str(point)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    worker = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    assert worker.returncode == -9, worker.stderr
    lines = [json.loads(line) for line in worker.stdout.splitlines()]
    ops = [tuple(line) for line in lines if isinstance(line, list)]
    ends = [line for line in lines if isinstance(line, bool)]
    return list(zip(ops, [*ends, None], strict=False))


def followed(state: State, played: list[tuple[Op, bool | None]]) -> tuple[State, Op]:
    """The state before the operation that was cut short, and that operation."""
    for op, worked in played:
        if worked is None:
            return state, op
        state = expected(state, op, worked=worked)
    return state, ("prune containers",) if not state.containers else ("make", next(iter(state.volumes), "va"))


def expected(state: State, op: Op, *, worked: bool) -> State:
    try:
        then = after(state, op)
    except Refused:
        assert not worked, f"{op} should have been refused in {state}"
        return state
    assert worked, f"{op} was refused in {state}"
    return then


async def looked_at(root: Path) -> State:
    """A start after a crash: everything is put right, nothing is left over."""
    async with world(root, gc=GC) as engine:
        engine.engine.services.volumes.recover([c.id for c in engine.engine.services.containers.all()])
        engine.store.layers.collect()
        no_leftovers(engine)
        return await Player(engine).observe()


def no_leftovers(engine: World) -> None:
    check_whole(engine.store)
    data = engine.path / "data"
    assert {p.name for p in (data / "volumes").iterdir()} == {v.name for v in engine.engine.services.volumes.list({})}
    for volume in (data / "volumes").iterdir():
        assert [p.name for p in volume.iterdir()] == ["_data"]
    assert {p.name for p in (data / "trash").iterdir()} == {e.id for e in engine.store.bin.all() if e.kind == "volume"}
    assert {p.name for p in (data / "containers").iterdir()} == {c.id for c in engine.engine.services.containers.all()}


def test_kills_at_random_points_lose_nothing_and_leave_nothing_over(tmp_path: Path) -> None:
    state = State()
    cut: Counter[str] = Counter()
    for seed in range(KILLS):
        played = killed(tmp_path, seed)
        before, op = followed(state, played)
        state = asyncio.run(looked_at(tmp_path))
        check(state, before, op)
        cut[op[0]] += 1
    assert len(cut) >= min(8, KILLS // 4), cut


def fill(path: str, leave: int) -> None:
    """To the last page, and then `leave` bytes given back."""
    with open(path, "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(1 << 20)):
                pass
        except OSError:
            size = os.fstat(ballast.fileno()).st_blocks * 512
            os.ftruncate(ballast.fileno(), max(size - leave, 0))


def state_after_reclaim(state: State, observed: State, op: Op) -> State:
    """What takes room on a full disk may have the trash give it up."""
    if op[0] not in ("run", "make", "load"):
        return state
    return replace(state, trash=tuple(entry for entry in state.trash if entry in observed.trash))


async def on_a_full_disk(seed: int) -> int:
    """How many operations a full disk stopped."""
    moves = random.Random(seed)
    stopped = 0
    state = State()
    async with world(Path("/mnt"), gc=GC) as engine:
        player = Player(engine)
        for _ in range(60):
            op = some_op(moves)
            is_full = op[0] != "write" and moves.random() < 0.5
            if is_full:
                fill("/mnt/ballast", moves.randrange(0, 64_000) if op[0] != "load" else moves.randrange(64 << 20, 66 << 20))
            try:
                worked = await player.play(op)
                observed = await player.observe()
                state = state_after_reclaim(state, observed, op) if is_full else state
                then = expected(state, op, worked=worked)
                check(observed, state, op, whole=True)
                assert then.facts() == observed.facts()
                state = then
            except EngineError:
                stopped += 1
                observed = await player.observe()
                check(observed, state_after_reclaim(state, observed, op), op)
                state = observed
            finally:
                Path("/mnt/ballast").unlink(missing_ok=True)
                if moves.random() < 0.05:
                    engine.store.db.reserve.renew()
    state_after_start = await looked_at(Path("/mnt"))
    check(state_after_start, state, ("make", next(iter(state.volumes), "va")))
    return stopped


async def cleaning_a_full_disk() -> State:
    """What is left after everything that frees space was done on a disk without a free block."""
    async with world(Path("/mnt"), gc=GC) as engine:
        player = Player(engine)
        ops: list[Op] = [("load", "app:a"), ("load", "app:b"), ("run", "c1", "app:a", "va", "False"), ("run", "c2", "app:a", "vb", "True")]
        ops += [("make", "vc"), ("write", "vc", "1"), ("make", "vd"), ("write", "vd", "2"), ("rm", "vd")]
        for op in ops:
            assert await player.play(op), op
        fill("/mnt/ballast", 0)
        cleaning: list[Op] = [("rm container", "c1"), ("rm", "va"), ("rmi", "app:b"), ("prune containers",), ("prune volumes",)]
        for op in (*cleaning, ("prune images",), ("restore", "va"), ("empty", "vd"), ("empty",)):
            assert await player.play(op), op
        return await player.observe()


def on_small_disk(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", 0, "size=120m")
    return asyncio.run(work())


def test_what_frees_space_works_on_a_disk_without_any() -> None:
    state = forked(lambda: on_small_disk(cleaning_a_full_disk))
    assert set(state.volumes) == {"va", "vb"}
    assert (state.images, set(state.containers), state.trash) == (frozenset({"app:a"}), {"c2"}, ())


def test_a_full_disk_stops_an_operation_and_nothing_else() -> None:
    stopped = [forked(functools.partial(on_small_disk, functools.partial(on_a_full_disk, seed))) for seed in range(FULL_DISKS)]
    assert sum(stopped) >= FULL_DISKS // 2, stopped
