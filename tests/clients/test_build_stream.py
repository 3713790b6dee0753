"""The stream of POST /build, line by line what Docker's classic builder said (`build_streams.json`)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.build_streams import BASE, GOLDEN, STREAMS, Stream, answered, provide
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
WANTED: dict[str, Any] = json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def base(engine: Daemon) -> Iterator[None]:
    provide(engine.host)
    yield
    engine.call("DELETE", f"/images/{BASE}?force=1")


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
@pytest.mark.usefixtures("base")
def test_stream(engine: Daemon, stream: Stream) -> None:
    assert answered(engine.host, stream) == WANTED[stream.name]
