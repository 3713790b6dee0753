"""Kept figures: true after every change that the engine knows of, never later than a round for the others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.records.containers import MIGRATIONS as CONTAINER_TABLES
from corten.engine.records.containers import ContainerCatalog
from corten.engine.usage import DiskUsage
from corten.engine.values.container import Container, State
from corten.store import volumes as volume_store
from corten.store.contents import figures as figure_store
from corten.store.contents.figures import Figures, walk
from corten.store.opened import Store, open_store
from corten.store.trash import Trash
from tests.unit.engine.containers.values import container


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"), (*CONTAINER_TABLES, *volume_store.MIGRATIONS, *figure_store.MIGRATIONS))
    yield opened
    opened.close()


class World:
    def __init__(self, store: Store, root: Path) -> None:
        self.catalog = ContainerCatalog(store.db)
        self.volumes = volume_store.Volumes(str(root / "volumes"), store.db, Trash(store.root.trash, store.background))
        self.store = store
        self.kept = Figures(store.db)
        self.figures = DiskUsage(self.kept, self.catalog, store.snapshots, self.volumes)

    def add(self, state: State) -> Container:
        made = replace(container(), state=state)
        self.store.snapshots.prepare(made.id, [])
        self.catalog.add(made)
        return made

    def write(self, folder: str, size: int) -> None:
        Path(folder, "f").write_bytes(bytes(size))

    def upper(self, of: Container) -> str:
        return self.store.snapshots.upper(of.id)


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(store, tmp_path)


async def test_a_stopped_container_is_measured_once(world: World) -> None:
    made = world.add(State(status="exited", finished_at=1))
    world.write(world.upper(made), 10)
    assert await world.figures.written([made]) == {made.id: 10}
    world.write(world.upper(made), 20)  # behind the engine's back, which nothing does
    assert await world.figures.written([made]) == {made.id: 10}
    world.figures.touched(made)
    assert await world.figures.written([made]) == {made.id: 20}


async def test_what_runs_is_measured_again(world: World) -> None:
    made = world.add(State(status="running", pid=1))
    assert await world.figures.written([made]) == {made.id: 0}
    world.kept.keep("container", made.id, replace(world.kept.all("container")[made.id], at=1))
    world.write(world.upper(made), 30)
    assert await world.figures.written([made]) == {made.id: 30}


async def test_what_is_too_big_to_walk_answers_with_the_last_figure(world: World) -> None:
    made = world.add(State(status="running", pid=1))
    await world.figures.written([made])
    world.kept.keep("container", made.id, replace(world.kept.all("container")[made.id], at=1, cost=10**9))
    world.write(world.upper(made), 30)
    assert await world.figures.written([made]) == {made.id: 0}
    await world.figures.round()
    assert await world.figures.written([made]) == {made.id: 30}


async def test_a_volume_whose_users_changed(world: World) -> None:
    volume, _ = world.volumes.create("v1", options={}, labels={})
    assert await world.figures.held([volume]) == {"v1": 0}
    world.write(world.volumes.data("v1"), 40)
    world.kept.keep("volume", "v1", replace(world.kept.all("volume")["v1"], at=world.kept.all("volume")["v1"].at - 10**9))
    world.volumes.hold("v1", "somebody")
    assert await world.figures.held([world.volumes.get("v1")]) == {"v1": 40}


async def test_figures_of_what_is_no_more_go(world: World) -> None:
    volume, _ = world.volumes.create("v1", options={}, labels={})
    await world.figures.held([volume])
    world.volumes.remove("v1")
    await world.figures.round()
    assert world.kept.all("volume") == {}


def test_a_walk_counts_inodes_once_and_no_directories(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(bytes(100))
    (tmp_path / "b").hardlink_to(tmp_path / "deep" / "a")
    (tmp_path / "link").symlink_to("b")
    assert walk(str(tmp_path)).size == 101
