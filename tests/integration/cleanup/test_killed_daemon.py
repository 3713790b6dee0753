"""`kill -9` of a real daemon in the middle of prunes, removals, restores and emptying, on objects made up at random."""

import os
import random
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest

from corten.errors import EngineError
from tests.integration.cleanup.model import EMPTY, digest_on_disk
from tests.integration.cleanup.test_dry_runs import Landscape
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
KILLS = int(os.environ.get("CORTEN_KILLS", "8"))
WORK = (
    "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D",
    "/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D",
    "/containers/prune",
    "/networks/prune",
    "/build/prune?all=1",
)


def contents(daemon: Daemon) -> Counter[str]:
    """What lies in volumes and in the trash, by content."""
    places = [*(daemon.data_root / "volumes").glob("*/_data"), *(daemon.data_root / "trash").glob("*/*/_data")]
    return Counter(digest for place in places if (digest := digest_on_disk(place)) != EMPTY)


def interrupted(daemon: Daemon, moves: random.Random) -> bool:
    """Some clean-up, cut short by a kill; whether the trash was being emptied."""
    trash = [entry["ID"] for entry in daemon.call("GET", "/corten/trash").ok()]
    empties = bool(trash) and moves.random() < 0.2
    paths = ["/corten/trash/empty"] if empties else [*moves.sample(WORK, 3), *(f"/corten/trash/{n}/restore" for n in trash[:2])]

    def work() -> None:
        for path in paths:
            with suppress(OSError, EngineError):
                daemon.call("POST", path, {"Ids": trash[:1]} if empties else None)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(moves.expovariate(1 / 0.02))
    daemon.kill()
    thread.join()
    daemon.start()
    return empties


def test_a_killed_daemon_has_lost_nothing_that_was_protected_used_or_in_the_trash(daemon: Daemon) -> None:
    moves = random.Random(3)
    land = Landscape(daemon, moves)
    for _ in range(KILLS):
        land.grow()
        before, running = contents(daemon), {c["Id"] for c in daemon.call("GET", "/containers/json").ok()}
        used = {v["Name"]: digest_on_disk(daemon.data_root / "volumes" / v["Name"] / "_data") for v in in_use(daemon)}
        empties = interrupted(daemon, moves)
        assert land.protected <= land.present(), land.protected - land.present()
        assert {c["Id"] for c in daemon.call("GET", "/containers/json").ok()} == running
        for name, digest in used.items():
            assert digest_on_disk(daemon.data_root / "volumes" / name / "_data") == digest
        after = contents(daemon)
        assert not after - before
        assert empties or after == before
        volumes = {v["Name"] for v in daemon.call("GET", "/volumes").ok()["Volumes"] or ()}
        assert {path.name for path in (daemon.data_root / "volumes").iterdir()} == volumes


def in_use(daemon: Daemon) -> list[dict[str, str]]:
    """Volumes that a running container has mounted."""
    containers = daemon.call("GET", "/containers/json").ok()
    names = {m["Name"] for c in containers for m in c["Mounts"] if m["Type"] == "volume"}
    return [{"Name": name} for name in names]
