"""Pulls from a registry on loopback into a real store."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.images.platforms import entries_of
from corten.engine.progress import Message, Note
from corten.engine.transfer.layers import LayerPull, RemoteLayer
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.singleflight import InFlight
from corten.errors import EngineError, Invalid, NotFound, Unavailable, Unsupported
from corten.ids import DiffId, Digest
from corten.oci.reference import Reference, parse_reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import Partial
from corten.registry.retry import RetryPolicy
from corten.store.opened import Store, open_store
from tests.support.faulty_registry import Faults, Registry, running_registry
from tests.support.remote_images import add_image, add_index, random_layers, sha256

pytestmark = pytest.mark.privileged
SETTINGS = RegistrySettings(certs_d=(), retry=RetryPolicy(first=0.01, longest=0.05))


def statuses(lines: list[Message]) -> list[str]:
    return [line.status for line in lines if not isinstance(line, Note)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def pulls(store: Store) -> Pulls:
    return Pulls(store, SETTINGS, Events())


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


def test_an_image_that_is_here_costs_one_head(store: Store) -> None:
    with running_registry() as registry:
        digest = add_image(registry, random_layers(2, 1000))
        pull(store, registry)
        before = len(registry.seen)
        lines = pull(store, registry)
        asked = [(method, path) for method, path, _ in registry.seen[before:]]
    assert asked == [("HEAD", "/v2/x/manifests/latest")]
    assert statuses(lines) == ["Pulling from x", f"Digest: {digest}", f"Status: Image is up to date for {registry.host}/x:latest"]


@pytest.mark.parametrize("packing", ["gzip", "zstd", ""])
def test_every_packing_of_layers(store: Store, packing: str) -> None:
    layers = random_layers(2, 200_000)
    with running_registry() as registry:
        add_image(registry, layers, packing=packing)
        pull(store, registry)
        assert store.images.get(str(name(registry))).layers == tuple(sha256(layer) for layer in layers)


def test_attestations_are_kept(store: Store) -> None:
    with running_registry() as registry:
        here = add_image(registry, random_layers(1, 1000), "a")
        top = add_index(registry, {"amd64": here}, attested=["amd64"])
        pull(store, registry, platform="linux/amd64")
        image = store.images.get(str(name(registry)))
        kept = store.origins.attachments_of(image.id)
        entries = entries_of(image, store.images, store.origins)
    assert image.repo_digests == (f"{registry.host}/x@{top}",)
    assert len(kept) == 3
    assert [(e.is_here, e.about) for e in entries] == [(True, ""), (True, here)]


def test_schema_1_and_artifacts_are_refused(store: Store) -> None:
    with running_registry() as registry:
        registry.add_manifest("latest", b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+json")
        with pytest.raises(Unsupported, match="schema 1"):
            pull(store, registry)
        chart = {
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": sha256(b"{}"), "size": 2},
        }
        registry.add_manifest("chart", json.dumps({**chart, "layers": []}).encode())
        with pytest.raises(Unsupported, match="unsupported media type"):
            pull(store, registry, ":chart")
    assert store.images.all() == []


def test_a_foreign_layer_comes_from_its_url_without_credentials(store: Store) -> None:
    layer = random_layers(1, 1000)[0]
    with running_registry() as elsewhere, running_registry(Faults(password="u:p")) as registry:
        digest = add_image(registry, [layer])
        media_type, raw = registry.manifests[digest]
        manifest = json.loads(raw)
        blob = manifest["layers"][0]["digest"]
        elsewhere.blobs[blob] = registry.blobs.pop(blob)
        foreign = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "urls": [f"{elsewhere.url}/v2/y/blobs/{blob}"]}
        manifest["layers"][0] |= foreign
        registry.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        asyncio.run(pulls(store).pull(name(registry), lambda line: None, credentials=Credentials("u", "p")))
        assert store.images.get(str(name(registry))).layers == (sha256(layer),)
        assert elsewhere.seen
        assert not any("Authorization" in headers for _, _, headers in elsewhere.seen)


def test_too_little_room_is_said_before_the_first_byte(store: Store) -> None:
    with running_registry() as registry:
        digest = add_image(registry, random_layers(1, 1000))
        media_type, raw = registry.manifests[digest]
        manifest = json.loads(raw)
        manifest["layers"][0]["size"] = 1 << 60
        registry.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        tight = Pulls(store, SETTINGS, Events(), lambda: 123_000_000)
        with pytest.raises(Unavailable, match=r"need at least 2\.306EB, .* are free, 123MB can be reclaimed"):
            asyncio.run(tight.pull(name(registry), lambda line: None))
        assert not [path for path in registry.paths("GET") if manifest["layers"][0]["digest"] in path]
    assert partials(store) == []


def test_layers_that_were_finished_outlive_the_pull_and_the_process(store: Store) -> None:
    """Also the collection of what nothing holds, as at the start of the next process."""
    layers = random_layers(2, 100_000)
    with running_registry() as registry:
        raw = json.loads(registry.manifests[add_image(registry, layers)][1])
        finished = raw["layers"][0]
        folder = Path(store.root.content) / "partials"
        job = LayerPull(store, folder, InFlight(), lambda line: None, lambda: False)
        layer = RemoteLayer(finished["digest"], DiffId(sha256(layers[0])), finished["size"], finished["mediaType"], str(name(registry)))
        with Session(registry.host, SETTINGS) as session, store.layers.lease() as lease:
            job.bring(Repository(session, "x"), [layer], lease)
        store.layers.collect()
        before = len(registry.seen)
        pull(store, registry)
        assert not [path for _, path, _ in registry.seen[before:] if finished["digest"] in path]
    store.images.remove(store.images.get(str(name(registry))).id)
    store.layers.collect()
    assert store.layers.all() == []


def test_a_partial_blob_whose_bytes_are_wrong_is_fetched_anew(store: Store) -> None:
    layers = random_layers(1, 3 << 20)
    with running_registry() as registry:
        add_image(registry, layers)
        blob, data = next((d, data) for d, data in registry.blobs.items() if len(data) > 1 << 20)
        left = Partial(Path(store.root.content) / "partials", Digest(blob), len(data))
        left.write(0, bytes(2 << 20))  # as after a power failure: marked, but zeros
        left.close()
        pull(store, registry)
        assert store.images.get(str(name(registry))).layers == (sha256(layers[0]),)
    assert partials(store) == []


def test_a_platform_that_the_only_image_does_not_have_is_a_warning(store: Store) -> None:
    with running_registry() as registry:
        add_image(registry, random_layers(1, 100))
        lines = pull(store, registry, platform="linux/s390x")
    assert statuses(lines)[-1].startswith("WARNING: image with reference")


def test_all_tags(store: Store) -> None:
    with running_registry() as registry:
        for tag in ("one", "two"):
            add_image(registry, random_layers(1, 100), tag)
        lines: list[Message] = []
        asyncio.run(pulls(store).pull(name(registry), lines.append, all_tags=True))
        assert sorted(t for image in store.images.all() for t in image.repo_tags) == [f"{registry.host}/x:one", f"{registry.host}/x:two"]
