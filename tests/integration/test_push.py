"""Pushes to a registry on loopback out of a real store."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.images.progress import Message, Note
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.push import Pushed, Pushes
from corten.errors import NotFound
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store, open_store
from tests.support.faulty_registry import Registry, running_registry
from tests.support.remote_images import add_image, random_layers

pytestmark = pytest.mark.privileged
SETTINGS = RegistrySettings(certs_d=())


def statuses(lines: list[Message]) -> list[str]:
    return [line.status for line in lines if not isinstance(line, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def pull(store: Store, name: str) -> None:
    asyncio.run(Pulls(store, SETTINGS, Events()).pull(parse_reference(name), lambda line: None))


def push(store: Store, name: str, *, all_tags: bool = False) -> tuple[list[Message], list[Pushed]]:
    lines: list[Message] = []
    done = asyncio.run(Pushes(store, SETTINGS, Events()).push(parse_reference(name), lines.append, all_tags=all_tags))
    return lines, done


def tag(store: Store, source: str, target: str) -> None:
    store.images.tag(parse_reference(target).with_default_tag(), store.images.get(source).id)


def test_what_was_pulled_goes_back_byte_for_byte(store: Store) -> None:
    with running_registry() as registry:
        digest = add_image(registry, random_layers(2, 50_000))
        pull(store, f"{registry.host}/x")
        before = len(registry.blobs)
        lines, (done,) = push(store, f"{registry.host}/x")
        assert (done.digest, len(registry.blobs)) == (digest, before)
        assert statuses(lines).count("Layer already exists") == 2


def test_another_registry_gets_the_same_layers(store: Store) -> None:
    with running_registry() as one, running_registry() as two:
        add_image(one, random_layers(2, 50_000))
        pull(store, f"{one.host}/x")
        tag(store, f"{one.host}/x", f"{two.host}/y:v2")
        lines, (done,) = push(store, f"{two.host}/y:v2")
        assert statuses(lines).count("Pushed") == 2
        assert statuses(lines)[-1] == f"v2: digest: {done.digest} size: {done.size}"
        image = store.images.get(f"{one.host}/x")
        store.images.remove(image.id)
        store.layers.collect()
        pull(store, f"{two.host}/y:v2")
        assert store.images.get(f"{two.host}/y:v2").layers == image.layers


def test_a_neighbours_blob_is_mounted(store: Store) -> None:
    with running_registry() as registry:
        add_image(registry, random_layers(1, 50_000))
        pull(store, f"{registry.host}/x")
        tag(store, f"{registry.host}/x", f"{registry.host}/neighbour")
        hide_blobs(registry)
        lines, _ = push(store, f"{registry.host}/neighbour")
    assert "Mounted from x" in statuses(lines)


def hide_blobs(registry: Registry) -> None:
    """Blobs exist for mounts only, as in a registry that keeps repositories apart."""
    registry.faults.hidden_from_head = True


def test_all_tags_and_an_unknown_name(store: Store) -> None:
    with running_registry() as registry:
        add_image(registry, random_layers(1, 100))
        pull(store, f"{registry.host}/x")
        for name in ("a", "b"):
            tag(store, f"{registry.host}/x", f"{registry.host}/x:{name}")
        _, done = push(store, f"{registry.host}/x", all_tags=True)
        assert [d.tag for d in done] == ["a", "b", "latest"]
        assert json.loads(registry.manifests["b"][1])["schemaVersion"] == 2
        with pytest.raises(NotFound, match="An image does not exist locally with the tag"):
            push(store, f"{registry.host}/nope")
