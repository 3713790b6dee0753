"""Pulls from a registry on loopback into a real store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.images.progress import Message, Note
from corten.engine.transfer.pull import Pulls
from corten.errors import EngineError, Invalid, NotFound, Unavailable
from corten.ids import DiffId
from corten.oci.reference import Reference, parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store, open_store
from tests.support.faulty_registry import Faults, Registry, running_registry
from tests.support.remote_images import add_image, add_index, random_layers, sha256

pytestmark = pytest.mark.privileged


def statuses(lines: list[Message]) -> list[str]:
    return [line.status for line in lines if not isinstance(line, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def pulls(store: Store) -> Pulls:
    return Pulls(store, RegistrySettings(certs_d=()), Events())


def name(registry: Registry, suffix: str = "") -> Reference:
    return parse_reference(f"{registry.host}/x{suffix}")


def pull(store: Store, registry: Registry, suffix: str = "", **more: str) -> list[Message]:
    lines: list[Message] = []
    asyncio.run(pulls(store).pull(name(registry, suffix), lines.append, **more))  # type: ignore[arg-type]
    return lines


def partials(store: Store) -> list[str]:
    folder = Path(store.root.content) / "partials"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_an_image_is_there_after_a_pull(store: Store) -> None:
    layers = random_layers(4, 300_000)
    with running_registry() as registry:
        digest = add_image(registry, layers)
        lines = pull(store, registry)
        image = store.images.get(str(name(registry)))
        assert image.layers == tuple(sha256(layer) for layer in layers)
        assert image.repo_tags == (f"{registry.host}/x:latest",)
        assert image.repo_digests == (f"{registry.host}/x@{digest}",)
        assert statuses(lines)[:2] == ["Pulling from x", "Pulling fs layer"]
        assert statuses(lines)[-2:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {registry.host}/x:latest"]
        assert len([status for status in statuses(lines) if status == "Pull complete"]) == 4
        assert partials(store) == []
        again = pull(store, registry)
        assert statuses(again)[-1] == f"Status: Image is up to date for {registry.host}/x:latest"
        assert len([p for p in registry.paths("GET") if "/blobs/" in p]) == 5


def test_the_platform_is_chosen_from_an_index(store: Store) -> None:
    with running_registry() as registry:
        here, there = random_layers(1, 1000), random_layers(1, 1000)
        manifests = {"amd64": add_image(registry, here, "a"), "arm64": add_image(registry, there, "b", "arm64")}
        top = add_index(registry, manifests)
        pull(store, registry, platform="linux/arm64")
        image = store.images.get(str(name(registry)))
        assert image.layers == (DiffId(sha256(there[0])),)
        assert image.repo_digests == (f"{registry.host}/x@{top}",)
        with pytest.raises(NotFound, match="no matching manifest for linux/s390x"):
            pull(store, registry, platform="linux/s390x")


@pytest.mark.parametrize(
    ("faults", "kind"),
    [(Faults(corrupt=True), Invalid), (Faults(truncate_after=0), Unavailable), (Faults(lie_about_manifest=True), Invalid)],
    ids=["corrupt", "truncated", "lying"],
)
def test_what_goes_wrong_leaves_nothing(store: Store, faults: Faults, kind: type[EngineError]) -> None:
    with running_registry(faults) as registry:
        add_image(registry, random_layers(2, 100_000))
        with pytest.raises(kind):
            pull(store, registry)
    assert store.images.all() == []
    store.layers.collect()
    assert store.layers.all() == []


def test_a_pull_that_broke_goes_on_where_it_stopped(store: Store) -> None:
    layers = random_layers(1, 6 << 20)
    with running_registry() as registry:
        add_image(registry, layers)
        blob = next(d for d, data in registry.blobs.items() if len(data) > 1 << 20)
        whole = registry.blobs[blob]
        registry.faults.status_first = []
        registry.blobs[blob] = whole[: 5 << 20]  # the registry has lost the end: ranges beyond are short
        with pytest.raises(EngineError):
            pull(store, registry)
        assert partials(store) != []
        registry.blobs[blob] = whole
        before = len(registry.seen)
        pull(store, registry)
        asked = [h["Range"] for _, path, h in registry.seen[before:] if blob in path]
    assert asked == [f"bytes={5 << 20}-{len(whole) - 1}"]
    assert store.images.get(str(name(registry))).layers == (DiffId(sha256(layers[0])),)
    assert partials(store) == []


def test_two_pulls_at_once_fetch_each_layer_once(store: Store) -> None:
    with running_registry() as registry:
        layers = random_layers(3, 1 << 20)
        add_image(registry, layers, "one")
        add_image(registry, [*layers, *random_layers(1, 1000)], "two")
        both = pulls(store)

        async def twice() -> None:
            await asyncio.gather(*(both.pull(name(registry, f":{tag}"), lambda line: None) for tag in ("one", "two")))

        asyncio.run(twice())
        fetched = [p for p in registry.paths("GET") if "/blobs/" in p]
    assert len(fetched) == len(set(fetched)) == 6
    assert len(store.images.all()) == 2


def test_all_tags(store: Store) -> None:
    with running_registry() as registry:
        for tag in ("one", "two"):
            add_image(registry, random_layers(1, 100), tag)
        lines: list[Message] = []
        asyncio.run(pulls(store).pull(name(registry), lines.append, all_tags=True))
        assert sorted(t for image in store.images.all() for t in image.repo_tags) == [f"{registry.host}/x:one", f"{registry.host}/x:two"]
