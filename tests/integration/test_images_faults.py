"""Images after `kill -9`, on a disk that fills up in the middle, and with pulls and prunes at once: whole, and nothing left over."""

import asyncio
import errno
import functools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.images.removal import ImagePruneFilter, RemoveOptions
from corten.engine.images.service import Images
from corten.engine.transfer.pull import Pulls
from corten.errors import EngineError
from corten.kernel.mount import MS_PRIVATE, MS_REC, mount
from corten.kernel.namespaces import CLONE_NEWNS, unshare
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import PART
from corten.store.layertar.examine import examine_layer
from corten.store.opened import Store, open_store
from tests.integration.test_store_faults import big_layers, check_whole
from tests.support.faulty_registry import Registry, running_registry
from tests.support.forked import forked
from tests.support.remote_images import add_image, random_layers
from tests.unit.store.test_archive import archive, docker_archive

pytestmark = pytest.mark.privileged
KILLS = 20
FULL_DISKS = 20


def pull(store: Store, name: str) -> None:
    asyncio.run(Pulls(store, RegistrySettings(certs_d=()), Events()).pull(parse_reference(name), lambda _: None))


def partial_bytes(root: Path) -> int:
    """What killed pulls have marked as written."""
    total = 0
    for path in (root / "content" / "partials").glob("*.map"):
        size = path.with_suffix("").stat().st_size
        total += sum(min(PART, size - n * PART) for n, mark in enumerate(path.read_bytes()) if mark)
    return total


def blob_requests(registry: Registry) -> list[str]:
    return [path for path in registry.paths("GET") if "/blobs/" in path]


def asked_bytes(registry: Registry, since: int) -> int:
    """RemoveOptions much of blobs was asked for by ranges."""
    ranges = [h["Range"].removeprefix("bytes=").split("-") for _, path, h in registry.seen[since:] if "/blobs/" in path and "Range" in h]
    return sum(int(last) - int(first) + 1 for first, last in ranges)


def killed_worker(root: Path, archive_path: Path, registry: Registry, seed: int) -> list[str]:
    """What it had begun when it was killed, at a moment that `seed` chooses: a little after it began
    something else than a pull, or after so many requests for blobs."""
    moments = random.Random(seed)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.images_worker", str(root), str(archive_path), f"{registry.host}/x:latest", str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    begun: list[str] = []
    if seed % 2:
        wanted = len(blob_requests(registry)) + moments.randrange(2, 6)
        while len(blob_requests(registry)) < wanted:
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.04))
    else:
        while begun[-1:] in ([], ["pull"]):
            begun.append(worker.stdout.readline().strip())
        time.sleep(moments.uniform(0.0, 0.02))
    worker.kill()
    begun += worker.stdout.read().split()
    worker.wait()
    worker.stdout.close()
    return begun


def test_kills_in_pull_load_rmi_and_prune_leave_a_whole_store(tmp_path: Path) -> None:
    file, root = tmp_path / "a.tar", tmp_path / "root"
    file.write_bytes(archive(docker_archive(big_layers(3, 40))))
    interrupted: set[str] = set()
    resumed = 0
    with running_registry() as registry:
        add_image(registry, [*random_layers(1, 33 << 20), *random_layers(2, 200_000)])
        registry.seen = Unhurried()
        name = f"{registry.host}/x:latest"
        for seed in range(KILLS):
            interrupted.add(killed_worker(root, file, registry, seed)[-1])
            store = open_store(str(root))
            check_whole(store)
            here, since = partial_bytes(root), len(registry.seen)
            pull(store, name)
            if here:
                resumed += 1
                assert asked_bytes(registry, since) <= sum(map(len, registry.blobs.values())) - here
            assert len(store.images.get(name).layers) == 3
            check_whole(store)
            assert partial_bytes(root) == 0
            store.images.remove(store.images.get(name).id)
            store.layers.collect()
            store.background.wait()
            store.close()
    assert "pull" in interrupted
    assert len(interrupted) > 1
    assert resumed


def test_a_partial_of_a_layer_that_is_there_goes(tmp_path: Path) -> None:
    """Killed after the layer appeared and before its partial went."""
    root = tmp_path / "root"
    with running_registry() as registry:
        add_image(registry, random_layers(1, 200_000))
        store = open_store(str(root))
        pull(store, f"{registry.host}/x:latest")
        layer = max(registry.blobs, key=lambda digest: len(registry.blobs[digest]))
        left = root / "content" / "partials" / layer.removeprefix("sha256:")
        left.write_bytes(b"x" * 200_285)
        left.with_suffix(".map").write_bytes(b"\1")
        assert partial_bytes(root)
        pull(store, f"{registry.host}/x:latest")
        assert list(left.parent.iterdir()) == []
        store.close()


class Unhurried(list[tuple[str, str, dict[str, str]]]):
    """Lets every request for a blob wait a little, so that there is something to interrupt."""

    def append(self, seen: tuple[str, str, dict[str, str]]) -> None:
        super().append(seen)
        if "/blobs/" in seen[1]:
            time.sleep(0.03)


class Tripwire(list[tuple[str, str, dict[str, str]]]):
    """Runs `work` at the n-th request for a blob."""

    def __init__(self, count: int, work: Callable[[], None]) -> None:
        super().__init__()
        self._left = count
        self._work = work
        self._lock = threading.Lock()

    def append(self, seen: tuple[str, str, dict[str, str]]) -> None:
        super().append(seen)
        if "/blobs/" not in seen[1]:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._work()


def fill(path: str, leave: int) -> None:
    """Takes all room but `leave`, or what the file system's own blocks left of it since it was asked."""
    found = os.statvfs("/mnt")
    with open(path, "wb") as ballast:
        try:
            os.posix_fallocate(ballast.fileno(), 0, max(found.f_bavail * found.f_frsize - leave, 1))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def pull_on_a_disk_that_fills(seed: int) -> str:
    """What a pull says when somebody else fills the disk in the middle of it, after which there is room again and it goes on."""
    moments = random.Random(seed)
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", 0, "size=400m")
    store = open_store("/mnt/root")
    said = "pulled"
    with running_registry() as registry:
        add_image(registry, random_layers(3, 2 << 20))
        name = f"{registry.host}/x:latest"
        registry.seen = Tripwire(moments.randrange(1, 5), lambda: fill("/mnt/ballast", moments.randrange(4096, 12 << 20)))
        try:
            pull(store, name)
        except EngineError as error:
            said = error.reason
            assert "no space left on device" in error.message.lower()
            assert store.images.all() == []
        Path("/mnt/ballast").unlink(missing_ok=True)
        registry.seen = []
        check_whole_but_partials(store)
        pull(store, name)
        assert len(store.images.get(name).layers) == 3
    check_whole_but_partials(store)
    store.close()
    return said


def check_whole_but_partials(store: Store) -> None:
    check_whole(store)
    for layer in store.layers.all():
        assert examine_layer(store.layers.directory(layer.diff_id), layer.diff_id).faults == ()


def test_a_disk_that_fills_up_during_a_pull_is_told_and_the_pull_goes_on() -> None:
    said = [forked(functools.partial(pull_on_a_disk_that_fills, seed)) for seed in range(FULL_DISKS)]
    assert set(said) <= {"disk-full", "pulled"}
    assert said.count("disk-full") >= FULL_DISKS // 4


def moves_on_a_full_disk(seed: int) -> list[str]:
    """What loads, removals and prunes come to while others leave less and less room; after it there is room, and all works."""
    moments = random.Random(seed)
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", 0, "size=400m")
    store = open_store("/mnt/root")
    images = Images(store, list, Events(), None)  # type: ignore[arg-type]  # nothing is repaired here
    files = [archive(docker_archive(big_layers(layers, 30), RepoTags=[f"app:v{layers}"])) for layers in (1, 2, 3)]
    said = []

    async def loaded(data: bytes) -> None:
        async def body() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 20_000):
                yield data[start : start + 20_000]

        async for _ in images.archives.load(body(), quiet=True, platform=None):
            pass

    asyncio.run(loaded(files[0]))
    fill("/mnt/ballast", moments.choice((0, 65536, 300_000, 300 << 20)))
    for _ in range(6):
        move = moments.choice(("load", "rmi", "prune"))
        try:
            if move == "load":
                asyncio.run(loaded(moments.choice(files)))
            elif move == "prune":
                asyncio.run(images.removal.prune(ImagePruneFilter(dangling_only=False)))
            elif store.images.all():
                asyncio.run(images.removal.remove(store.images.all()[0].id, RemoveOptions(force=True)))
            said.append(f"{move} done")
        except EngineError as error:
            assert error.reason == "disk-full", (move, error.message)
            said.append(f"{move} refused")
        check_whole(store)
    Path("/mnt/ballast").unlink()
    for data in files:
        asyncio.run(loaded(data))
    assert len(store.images.all()) == 3
    check_whole_but_partials(store)
    store.close()
    return said


def test_a_full_disk_refuses_loads_and_never_keeps_things_from_being_removed() -> None:
    said = [line for seed in range(FULL_DISKS) for line in forked(functools.partial(moves_on_a_full_disk, seed))]
    assert "load refused" in said
    assert {"rmi done", "prune done"} <= set(said)
    assert not {"rmi refused", "prune refused"} & set(said)
