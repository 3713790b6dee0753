"""What an interrupted pull leaves: counted as reclaimable, dropped by prunes, and by itself when it is old."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.faulty_registry import Registry
from tests.support.remote_images import add_image, random_layers

pytestmark = pytest.mark.privileged
LARGE = 20 << 20
DAY = 86400
EVERYTHING = "%7B%22dangling%22:%5B%22false%22%5D%7D"


@pytest.fixture
def interrupted(daemon: Daemon, registry: Registry) -> Registry:
    """A daemon in which a pull was given up half way."""
    add_image(registry, random_layers(1, LARGE), packing="")
    registry.faults.hold_at = LARGE // 2
    with daemon.client() as client, client.request("POST", f"/images/create?fromImage={registry.host}/x&tag=latest"):
        assert registry.held.wait(60)
    registry.faults.hold_at = None
    registry.go_on.set()
    deadline = time.monotonic() + 60
    while not leftover(daemon):  # the pull has seen that its client is gone
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return registry


def leftover(daemon: Daemon) -> int:
    """What `system df` counts besides the one image that is here."""
    usage: dict[str, Any] = daemon.call("GET", "/system/df?type=image").ok()
    assert len(usage["Images"]) == 1
    size: int = usage["LayersSize"] - usage["Images"][0]["Size"]
    return size


def prune(daemon: Daemon, filters: str = "") -> int:
    reclaimed: int = daemon.call("POST", f"/images/prune{filters and f'?filters={filters}'}").ok()["SpaceReclaimed"]
    return reclaimed


def dry_run(daemon: Daemon, **asked: Any) -> int:
    answer = daemon.call("POST", "/corten/dry-run/prune", {"Kinds": ["image"], **asked}).ok()
    reclaimed: int = answer["Images"]["SpaceReclaimed"]
    return reclaimed


def parts(daemon: Daemon) -> list[Path]:
    return list((daemon.data_root / "content" / "partials").iterdir())


def aged(daemon: Daemon, seconds: float) -> None:
    for path in parts(daemon):
        os.utime(path, (time.time() - seconds,) * 2)


def test_it_is_shown_and_goes_with_a_prune_when_nobody_went_on_with_it_for_an_hour(daemon: Daemon, interrupted: Registry) -> None:
    left = leftover(daemon)
    assert 0 < left < LARGE
    assert (prune(daemon), leftover(daemon)) == (0, left)
    assert prune(daemon, '{"label":["x"],"dangling":["false"]}'.replace('"', "%22")) == 0
    aged(daemon, 3700)
    assert dry_run(daemon) == left
    assert prune(daemon) == left
    assert (leftover(daemon), parts(daemon)) == (0, [])


def test_prune_of_all_drops_it_at_once_and_spares_what_is_being_pulled(daemon: Daemon, interrupted: Registry) -> None:
    interrupted.go_on.clear()
    interrupted.held.clear()
    interrupted.faults.hold_at = interrupted.sent + LARGE // 4
    with daemon.client() as client, client.request("POST", f"/images/create?fromImage={interrupted.host}/x&tag=latest") as answer:
        assert interrupted.held.wait(60)
        assert leftover(daemon) == 0
        prune(daemon, EVERYTHING)
        assert parts(daemon)
        interrupted.go_on.set()
        assert b"Downloaded newer image" in answer.read()


def test_prune_of_all_drops_what_nobody_pulls(daemon: Daemon, interrupted: Registry) -> None:
    left = leftover(daemon)
    assert dry_run(daemon, All=True) >= left
    assert prune(daemon, EVERYTHING) >= left
    assert parts(daemon) == []


def test_it_goes_by_itself_after_two_weeks(daemon: Daemon, interrupted: Registry) -> None:
    aged(daemon, 13 * DAY)
    daemon.stop()
    daemon.start()
    time.sleep(0.2)
    assert parts(daemon)
    aged(daemon, 15 * DAY)
    daemon.stop()
    daemon.start()
    deadline = time.monotonic() + 20
    while parts(daemon):
        assert time.monotonic() < deadline
        time.sleep(0.02)
