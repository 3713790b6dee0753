"""A push that ended in the middle, by `kill -9` of the engine or by its client, and is asked for again: what arrived isn't sent twice."""

import os
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.support.daemon import Daemon
from tests.support.faulty_registry import Registry
from tests.support.remote_images import layer_tar

pytestmark = pytest.mark.privileged
LARGE = 40 << 20
SMALL = 1 << 20
CHUNK = 8 << 20


def test_after_kill_9_of_the_engine(daemon: Daemon, registry: Registry) -> None:
    name = imported(daemon, registry)
    broken_off_at(LARGE * 6 // 10, daemon, registry, name, daemon.kill)
    before = registry.received
    daemon.start()
    pushed(daemon, name)
    again = registry.received - before
    assert again <= LARGE * 5 // 10 + SMALL, f"{again} bytes were sent again of {LARGE}"
    assert whole(registry)


def test_after_its_client_went_away(daemon: Daemon, registry: Registry) -> None:
    name = imported(daemon, registry)
    broken_off_at(LARGE * 6 // 10, daemon, registry, name)
    before = registry.received
    pushed(daemon, name)
    assert registry.received - before <= LARGE * 5 // 10 + SMALL


def test_a_registry_that_forgot_the_upload_gets_it_from_the_start(daemon: Daemon, registry: Registry) -> None:
    name = imported(daemon, registry)
    broken_off_at(LARGE // 3, daemon, registry, name, daemon.kill)
    registry.uploads.clear()
    daemon.start()
    pushed(daemon, name)
    assert whole(registry)


def test_a_registry_that_kept_something_else_gets_it_from_the_start(daemon: Daemon, registry: Registry) -> None:
    name = imported(daemon, registry)
    broken_off_at(LARGE // 3, daemon, registry, name, daemon.kill)
    for upload in registry.uploads.values():
        upload[:100] = bytes(100)
    daemon.start()
    pushed(daemon, name)
    assert whole(registry)


def imported(daemon: Daemon, registry: Registry) -> str:
    """An image of one large layer, which a push compresses to about its size."""
    name = f"{registry.host}/large"
    daemon.call("POST", f"/images/create?fromSrc=-&repo={quote(name, safe='')}", layer_tar({"data": os.urandom(LARGE)})).ok()
    return name


def pushed(daemon: Daemon, name: str) -> None:
    answer = daemon.call("POST", f"/images/{name}/push?tag=latest")
    assert b"digest: sha256:" in answer.body, answer.body


def broken_off_at(count: int, daemon: Daemon, registry: Registry, name: str, end: Callable[[], None] | None = None) -> None:
    """Pushes until `count` bytes arrived, then calls `end`; returns when the registry has taken what still came."""
    registry.faults.hold_uploads_at = count
    with daemon.client() as client, client.request("POST", f"/images/{name}/push?tag=latest") as answer:
        assert registry.held.wait(60)
        (end or answer.close)()
    registry.faults.hold_uploads_at = None
    registry.go_on.set()
    deadline = time.monotonic() + 60
    while registry.uploading:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def whole(registry: Registry) -> bool:
    """Whether the layer is there: blobs are kept under the digest of what came."""
    return any(len(blob) >= LARGE for blob in registry.blobs.values())
