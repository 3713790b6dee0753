"""The world of each test: with plain processes for everybody, with real containers where there is root."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.monitor.world import World


@pytest.fixture(params=["plain", pytest.param("real", marks=pytest.mark.privileged)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Connected; at the end everything is stopped, and no process may be left."""
    made = World(real=request.param == "real")
    await made.connect()
    yield made
    await made.stop()


@pytest.fixture
async def real_world() -> AsyncIterator[World]:
    """For tests that only make sense with real containers; mark them privileged."""
    made = World(real=True)
    await made.connect()
    yield made
    await made.stop()
