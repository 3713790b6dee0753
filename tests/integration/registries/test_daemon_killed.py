"""`kill -9` of the daemon at random points of pulls, loads, rmi and prune: the store is whole, the next pull fetches only the rest."""

import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from corten.errors import EngineError
from corten.store.opened import open_store
from tests.integration.test_images_faults import asked_bytes, partial_bytes
from tests.integration.test_store_faults import big_layers, check_whole
from tests.support.daemon import Daemon
from tests.support.faulty_registry import Registry
from tests.support.remote_images import add_image, random_layers
from tests.unit.store.test_archive import archive, docker_archive

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(300)]
KILLS = 20
EVERYTHING = "%7B%22dangling%22:%5B%22false%22%5D%7D"


class Work:
    """One call that the kill cuts off."""

    def __init__(self, daemon: Daemon, registry: Registry, tar: bytes) -> None:
        self._daemon = daemon
        self._registry = registry
        self._tar = tar
        self.name = f"{registry.host}/x"

    def pull(self) -> bytes:
        return self._daemon.call("POST", f"/images/create?fromImage={quote(self.name, safe='')}&tag=latest").body

    def load(self) -> bytes:
        return self._daemon.call("POST", "/images/load?quiet=1", self._tar).body

    def rmi(self) -> bytes:
        self._daemon.call("DELETE", "/images/app:v1")
        return self._daemon.call("DELETE", f"/images/{self.name}:latest").body

    def prune(self) -> bytes:
        return self._daemon.call("POST", f"/images/prune?filters={EVERYTHING}").body

    def cut_off(self, kind: str, moments: random.Random) -> None:
        """Begins it and kills the daemon a little after: for a pull after so many bytes, else after so much time."""
        registry = self._registry
        thread = threading.Thread(target=self._quietly, args=(kind,))
        if kind == "pull":
            registry.held.clear()
            registry.go_on.clear()
            registry.faults.hold_at = registry.sent + int(moments.uniform(0.1, 0.95) * sum(map(len, registry.blobs.values())))
        thread.start()
        if kind == "pull":
            assert registry.held.wait(60)
        time.sleep(moments.uniform(0.0, 0.1))
        self._daemon.kill()
        registry.faults.hold_at = None
        registry.go_on.set()
        thread.join()

    def _quietly(self, kind: str) -> None:
        with suppress(OSError, EngineError, ValueError):
            {"pull": self.pull, "load": self.load, "rmi": self.rmi, "prune": self.prune}[kind]()


@pytest.mark.parametrize("daemon", [["--gc", "trash=0"]], indirect=True)
def test_twenty_kills(daemon: Daemon, registry: Registry) -> None:
    """Without the trash, in which layers would wait for the next pull."""
    add_image(registry, [*random_layers(1, 20 << 20), *random_layers(2, 200_000)], packing="")
    whole = sum(map(len, registry.blobs.values()))
    work = Work(daemon, registry, archive(docker_archive(big_layers(3, 40))))
    resumed = 0
    for seed in range(KILLS):
        moments = random.Random(seed)
        kind = ("pull", "pull", "load", "rmi", "prune")[seed % 5]
        if kind in ("rmi", "prune"):
            work.pull()
            work.load()
        work.cut_off(kind, moments)
        looked_over(daemon)
        here, since = partial_bytes(daemon.data_root), len(registry.seen)
        daemon.start()
        assert b"Status:" in work.pull(), f"kill {seed}, in {kind}"
        if here:
            resumed += 1
            assert asked_bytes(registry, since) <= whole - here
        work.rmi()
        work.prune()
    assert resumed


def looked_over(daemon: Daemon) -> None:
    store = open_store(str(daemon.data_root))
    try:
        check_whole(store)
    finally:
        store.close()
    assert (Path(daemon.data_root) / "layers").is_dir()
