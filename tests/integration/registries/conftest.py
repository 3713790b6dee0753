"""A registry that a daemon under test reaches by loopback."""

from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon
from tests.support.faulty_registry import Registry, running_registry
from tests.support.inside import network_of


@pytest.fixture
def registry(daemon: Daemon) -> Iterator[Registry]:
    running = running_registry()
    with network_of(daemon.namespace_pid):
        found = running.__enter__()
    try:
        yield found
    finally:
        running.__exit__(None, None, None)
