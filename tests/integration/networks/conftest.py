"""What tests of networks stand in: a daemon with containers around it, and a neighbour outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.network_world import Caller, World, outside_host
from tests.support.daemon import Daemon


@pytest.fixture
def world(leaks: Daemon, tmp_path: Path) -> World:
    return World(leaks, tmp_path)


@pytest.fixture
def outside(world: World) -> Iterator[Caller]:
    with outside_host(world.daemon) as neighbour:
        yield neighbour
