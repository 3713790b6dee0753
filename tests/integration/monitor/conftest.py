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
