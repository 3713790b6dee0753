"""Pushes to a registry on loopback out of a real store."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.progress import Message, Note
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.push import Pushes, PushResult
from corten.errors import NotFound
from corten.oci.platform import Platform, parse_platform
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.registry.retry import RetryPolicy
from corten.store.opened import Store, open_store
from tests.support.faulty_registry import Registry, running_registry
from tests.support.remote_images import add_image, add_index, random_layers

pytestmark = pytest.mark.privileged
SETTINGS = RegistrySettings(certs_d=(), retry=RetryPolicy(first=0.01, longest=0.05))


def statuses(lines: list[Message]) -> list[str]:
    return [line.status for line in lines if not isinstance(line, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def pull(store: Store, name: str, platform: str = "") -> None:
    asyncio.run(Pulls(store, SETTINGS, Events()).pull(parse_reference(name), lambda line: None, platform=platform))


def push(store: Store, name: str, *, all_tags: bool = False, platform: Platform | None = None) -> tuple[list[Message], list[PushResult]]:
    lines: list[Message] = []
    done = asyncio.run(Pushes(store, SETTINGS, Events()).push(parse_reference(name), lines.append, all_tags=all_tags, platform=platform))
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


def test_layers_that_were_here_before_the_pull_keep_the_manifest_as_it_was(store: Store) -> None:
    """Their blobs never came here; the manifest says what they are."""
    layers = random_layers(2, 50_000)
    with running_registry() as registry:
        add_image(registry, layers[:1], "zstd", packing="zstd")
        digest = add_image(registry, layers)
        pull(store, f"{registry.host}/x:zstd")
        pull(store, f"{registry.host}/x")
        tag(store, f"{registry.host}/x", f"{registry.host}/other")
        _, (done,) = push(store, f"{registry.host}/other")
        assert done.digest == digest


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


def test_an_index_goes_whole_with_its_attestations(store: Store) -> None:
    """To a registry that has nothing of it: the image, one for another platform that is here too, and what is said about the first."""
    with running_registry() as one, running_registry() as two:
        manifests = {arch: add_image(one, random_layers(1, 5000), arch, arch, packing="") for arch in ("amd64", "arm64")}
        top = add_index(one, manifests, attested=["amd64"])
        for platform in ("linux/arm64", "linux/amd64"):
            pull(store, f"{one.host}/x", platform=platform)
        two.blobs.update(one.blobs)  # layers have other digests when they are compressed anew
        tag(store, f"{one.host}/x", f"{two.host}/y")
        _, (done,) = push(store, f"{two.host}/y")
        assert done.digest == top
        assert set(manifests.values()) < set(two.manifests)
        assert two.manifests["latest"] == one.manifests["latest"]
        _, (alone,) = push(store, f"{two.host}/y", platform=parse_platform("linux/amd64"))
        assert alone.digest == manifests["amd64"]
        with pytest.raises(NotFound, match=r"its platform \(linux/amd64\) does not match the specified platform \(linux/s390x\)"):
            push(store, f"{two.host}/y", platform=parse_platform("linux/s390x"))


def test_an_index_of_which_something_is_nowhere_stays_behind(store: Store) -> None:
    with running_registry() as one, running_registry() as two:
        manifests = {arch: add_image(one, random_layers(1, 5000), arch, arch) for arch in ("amd64", "arm64")}
        add_index(one, manifests)
        pull(store, f"{one.host}/x", platform="linux/amd64")
        tag(store, f"{one.host}/x", f"{two.host}/y")
        _, (done,) = push(store, f"{two.host}/y")
        assert "layers" in json.loads(two.manifests[done.digest][1])


def test_a_foreign_layer_is_not_sent(store: Store) -> None:
    with running_registry() as one, running_registry() as two:
        digest = add_image(one, random_layers(1, 5000))
        media_type, raw = one.manifests[digest]
        manifest = json.loads(raw)
        foreign = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "urls": ["https://elsewhere.invalid/layer"]}
        manifest["layers"][0] |= foreign
        digest = one.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        pull(store, f"{one.host}/x")
        tag(store, f"{one.host}/x", f"{two.host}/y")
        lines, (done,) = push(store, f"{two.host}/y")
    assert "Skipped foreign layer" in statuses(lines)
    assert done.digest == digest
    assert manifest["layers"][0]["digest"] not in two.blobs


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
