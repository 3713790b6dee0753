"""Pulls that are killed, cancelled, cheated or starved: what is there stays, what is wrong goes."""

import asyncio
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.errors import EngineError, Invalid, NotFound, Unavailable
from corten.ids import Digest
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import PART, Partials
from corten.registry.retry import RetryPolicy
from corten.store.opened import Store, open_store
from tests.support.faulty_registry import Faults, Registry, running_registry
from tests.support.remote_images import add_image, layer_tar, random_layers, sha256

pytestmark = pytest.mark.privileged
SETTINGS = RegistrySettings(certs_d=(), retry=RetryPolicy(first=0.01, longest=0.05))
ALLOWED = 8_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def pull(store: Store, registry: Registry, **more: str) -> None:
    asyncio.run(Pulls(store, SETTINGS, Events()).pull(parse_reference(f"{registry.host}/x"), lambda line: None, **more))  # type: ignore[arg-type]


def layer_blob(registry: Registry) -> tuple[Digest, int]:
    """The largest blob."""
    digest = max(registry.blobs, key=lambda one: len(registry.blobs[one]))
    return Digest(digest), len(registry.blobs[digest])


def wait_until_present(partials: Partials, digest: Digest, size: int) -> None:
    deadline = time.monotonic() + 60
    while partials.bytes_of(digest) < size:
        assert time.monotonic() < deadline, f"{partials.bytes_of(digest)} of {size} bytes after a minute"
        time.sleep(0.01)


def test_a_pull_killed_at_90_percent_fetches_the_rest_only(tmp_path: Path) -> None:
    with running_registry() as registry:
        layers = random_layers(1, 96 << 20)
        add_image(registry, layers, packing="")
        digest, size = layer_blob(registry)
        registry.faults.hold_at = size * 98 // 100
        root = tmp_path / "root"
        worker = subprocess.Popen([sys.executable, "-m", "tests.integration.pull_worker", str(root), f"{registry.host}/x"])
        try:
            assert registry.held.wait(60)
            wait_until_present(Partials(root / "content" / "partials"), digest, size * 9 // 10)
        finally:
            worker.kill()
            worker.wait()
        registry.faults.hold_at = None
        registry.go_on.set()
        before = registry.sent
        store = open_store(str(root))
        try:
            pull(store, registry)
            assert store.images.get(f"{registry.host}/x").layers == (sha256(layers[0]),)
        finally:
            store.close()
        assert registry.sent - before <= size // 10 + ALLOWED


def test_a_cancelled_pull_goes_on_where_it_was(store: Store) -> None:
    with running_registry() as registry:
        layers = random_layers(1, 12 << 20)
        add_image(registry, layers, packing="")
        digest, size = layer_blob(registry)
        partials = Partials(Path(store.root.content) / "partials")
        registry.faults.hold_at = size - PART

        async def cancelled() -> None:
            task = asyncio.ensure_future(Pulls(store, SETTINGS, Events()).pull(parse_reference(f"{registry.host}/x"), lambda line: None))
            await asyncio.to_thread(wait_until_present, partials, digest, size // 4)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(cancelled())
        present = partials.bytes_of(digest)
        assert size // 4 <= present < size
        registry.faults.hold_at = None
        registry.go_on.set()
        before = len(registry.seen)
        pull(store, registry)
        ranges = [headers["Range"].removeprefix("bytes=").split("-") for _, path, headers in registry.seen[before:] if digest in path]
        assert sum(int(last) - int(first) + 1 for first, last in ranges) == size - present
        assert store.images.get(f"{registry.host}/x").layers == (sha256(layers[0]),)


def test_a_pull_goes_on_where_its_connection_was_reset(store: Store) -> None:
    with running_registry(Faults(reset_after=5 * PART // 4)) as registry:
        layers = random_layers(1, 8 * PART)
        add_image(registry, layers, packing="")
        digest, size = layer_blob(registry)
        partials = Partials(Path(store.root.content) / "partials")
        resets = count(1)
        registry.faults.before_reset = lambda: wait_until_present(partials, digest, next(resets) * PART)
        pull(store, registry)
        assert store.images.get(f"{registry.host}/x").layers == (sha256(layers[0]),)
        assert next(resets) > 4
        assert registry.sent < size + size // 2


def test_a_gzip_bomb_is_refused_and_gone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "root"), largest_layer=8 << 20)
    try:
        with running_registry() as registry:
            add_image(registry, [layer_tar({"zeros": bytes(64 << 20)})])
            with pytest.raises(Invalid, match="larger than"):
                pull(store, registry)
        nothing_stays(store)
    finally:
        store.close()


def test_a_layer_that_is_not_what_the_config_says_is_refused_and_gone(store: Store) -> None:
    with running_registry() as registry:
        digest = add_image(registry, random_layers(1, 1000))
        media_type, raw = registry.manifests[digest]
        manifest = json.loads(raw)
        other = gzip.compress(random_layers(1, 1000)[0])
        manifest["layers"][0] |= {"digest": registry.add_blob(other), "size": len(other)}
        registry.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        with pytest.raises(Invalid, match="diff id"):
            pull(store, registry)
    nothing_stays(store)


@pytest.mark.parametrize("more", [-1, 1], ids=["longer", "shorter"])
def test_a_blob_of_another_size_is_refused(store: Store, more: int) -> None:
    with running_registry(Faults(ignore_range=True)) as registry:
        digest = add_image(registry, random_layers(1, 100_000))
        media_type, raw = registry.manifests[digest]
        manifest = json.loads(raw)
        manifest["layers"][0]["size"] += more
        registry.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        with pytest.raises((Invalid, Unavailable)):
            pull(store, registry)
    assert store.images.all() == []
    store.layers.collect()
    assert store.layers.all() == []


def test_a_config_that_is_not_the_manifests_is_refused(store: Store) -> None:
    with running_registry(Faults(corrupt=True)) as registry:
        add_image(registry, [])
        with pytest.raises(Invalid, match="do not match"):
            pull(store, registry)
    nothing_stays(store)


def test_an_unknown_tag_leaves_nothing(store: Store) -> None:
    with running_registry() as registry, pytest.raises(NotFound, match="manifest unknown"):
        pull(store, registry)
    nothing_stays(store)


def test_two_pulls_and_a_dropping_of_leftovers_at_once(store: Store) -> None:
    """What a running pull uses is spared."""
    with running_registry() as registry:
        layers = random_layers(2, 4 << 20)
        for tag in ("one", "two"):
            add_image(registry, layers, tag, packing="")
        registry.faults.hold_at = 4 << 20
        both = Pulls(store, SETTINGS, Events())

        async def scenario() -> None:
            running = [
                asyncio.ensure_future(both.pull(parse_reference(f"{registry.host}/x:{tag}"), lambda line: None)) for tag in ("one", "two")
            ]
            await asyncio.to_thread(registry.held.wait, 60)
            assert both.partial.clear(0) == 0
            registry.go_on.set()
            await asyncio.gather(*running)

        asyncio.run(scenario())
        names = sorted(tag for image in store.images.all() for tag in image.repo_tags)
    assert names == [f"{registry.host}/x:one", f"{registry.host}/x:two"]


def test_leftovers_are_dropped_when_they_are_old(store: Store) -> None:
    with running_registry(Faults(truncate_after=2 << 20)) as registry:
        add_image(registry, random_layers(1, 40 << 20), packing="")
        digest, _ = layer_blob(registry)
        registry.blobs[digest] = registry.blobs[digest][: 5 << 20]
        with pytest.raises(EngineError):
            pull(store, registry)
        partials = Partials(Path(store.root.content) / "partials")
        assert partials.bytes_of(digest)
        assert partials.forget_older(3600) == 0
        assert Pulls(store, SETTINGS, Events()).partial.clear(0) > 0
        assert not partials.bytes_of(digest)


def nothing_stays(store: Store) -> None:
    assert store.images.all() == []
    store.layers.collect()
    assert store.layers.all() == []
    folder = Path(store.root.content) / "partials"
    assert not folder.exists() or list(folder.iterdir()) == []
