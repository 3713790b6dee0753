import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corten.errors import EngineError, Invalid, Unsupported
from corten.oci import manifest as oci
from corten.oci.platform import Platform, host_platform, parse_platform
from corten.store.archive.load import LoadedImage, load_archive
from corten.store.layertar.unpack import Limits
from corten.store.opened import Store, open_store
from corten.store.streams import zstd
from tests.unit.store.tarballs import Member, chunked, tarball

LAYERS = [tarball([Member(f"f{n}", data=bytes([n]) * 2000), Member("same", data=bytes([n]))]) for n in range(3)]
Documents = Mapping[str, bytes]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers: Sequence[bytes], **more: object) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return json.dumps({"os": "linux", "architecture": host_platform().architecture, "rootfs": rootfs} | more).encode()


def archive(files: Documents, links: Mapping[str, str] = {}) -> bytes:
    return tarball([Member(name, data=data) for name, data in files.items()] + [Member(n, "link", link=to) for n, to in links.items()])


def load(store: Store, data: bytes, platform: Platform | None = None, chunk: int = 4000) -> list[LoadedImage]:
    return load_archive(store, chunked(data, chunk), report=lambda *_: None, platform=platform)


def docker_archive(layers: Sequence[bytes] = LAYERS, *, manifest_first: bool = False, **more: object) -> dict[str, bytes]:
    image = config(layers)
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["app:v1"], "Layers": names} | more]).encode()
    files = {"c.json": image, **dict(zip(names, layers, strict=True))}
    return {"manifest.json": manifest, **files} if manifest_first else {**files, "manifest.json": manifest}


def blob(data: bytes) -> str:
    return f"blobs/sha256/{digest(data)[7:]}"


def described(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)} | more


def image_manifest(image: bytes, blobs: Sequence[bytes]) -> bytes:
    layers = [described(b, f"{oci.OCI_LAYER}+gzip") for b in blobs]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "config": described(image, oci.OCI_CONFIG), "layers": layers}
    ).encode()


def index(descriptors: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": descriptors}).encode()


def layout(descriptors: Sequence[Mapping[str, Any]], *blobs: bytes) -> bytes:
    return archive({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **{blob(b): b for b in blobs}, "index.json": index(descriptors)})


NAMED = {"annotations": {"org.opencontainers.image.ref.name": "ghcr.io/org/app:v2"}}


@pytest.mark.parametrize("manifest_first", [True, False])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_a_docker_archive_in_any_order_and_packing(store: Store, manifest_first: bool, pack: Any) -> None:
    (loaded,) = load(store, pack(archive(docker_archive(manifest_first=manifest_first))))
    image = store.images.get("app:v1")
    assert (image.id, image.layers) == (loaded.id, tuple(digest(layer) for layer in LAYERS))
    assert image.raw == config(LAYERS)
    assert store.layers.leases.held() == set()
    assert Path(store.layers.path(image.layers[2]), "f2").read_bytes() == b"\2" * 2000


def test_old_archives_link_repeated_layers(store: Store) -> None:
    files = docker_archive([LAYERS[0], LAYERS[1], LAYERS[0]])
    del files["2/layer.tar"]
    load(store, archive(files, {"2/layer.tar": "../0/layer.tar"}))
    assert len(store.images.get("app:v1").layers) == 3
    assert len(store.layers.all()) == 2


def test_packed_layers_in_a_docker_archive(store: Store) -> None:
    files = docker_archive() | {"0/layer.tar": gzip.compress(LAYERS[0]), "1/layer.tar": zstd.compress(LAYERS[1])}
    load(store, archive(files))
    assert store.images.get("app:v1").layers == tuple(digest(layer) for layer in LAYERS)


def test_an_oci_layout_is_loaded_and_its_origins_remembered(store: Store) -> None:
    image, blobs = config(LAYERS), [gzip.compress(LAYERS[0]), zstd.compress(LAYERS[1]), LAYERS[2]]
    manifest = image_manifest(image, blobs)
    data = layout([described(manifest, oci.OCI_MANIFEST, **NAMED)], image, manifest, *blobs)
    (loaded,) = load(store, data)
    assert [str(tag) for tag in loaded.tags] == ["ghcr.io/org/app:v2"]
    assert store.images.get("ghcr.io/org/app:v2").id == digest(image)
    assert [m.raw for m in store.origins.manifests_of(loaded.id)] == [manifest]
    assert store.origins.layer_of(digest(blobs[0])) == digest(LAYERS[0])  # type: ignore[arg-type]
    # Blobs that are known need not be whole: they are not read again.
    broken = layout([described(manifest, oci.OCI_MANIFEST, **NAMED)], image, manifest)
    assert load(store, broken)[0].id == loaded.id


def test_a_nested_index_gives_the_best_platform_and_no_attestation(store: Store) -> None:
    host = host_platform().architecture
    images = {arch: config(LAYERS[:1], architecture=arch) for arch in (host, "s390x")}
    packed = gzip.compress(LAYERS[0])
    manifests = {arch: image_manifest(image, [packed]) for arch, image in images.items()}
    attestation = image_manifest(b'{"in-toto": 1}', [])
    inner = index(
        [described(manifests[arch], oci.OCI_MANIFEST, platform={"os": "linux", "architecture": arch}) for arch in ("s390x", host)]
        + [described(attestation, oci.OCI_MANIFEST, annotations={oci.ATTESTATION_TYPE: "attestation-manifest"})]
    )
    data = layout([described(inner, oci.OCI_INDEX, **NAMED)], inner, attestation, packed, *images.values(), *manifests.values())
    assert load(store, data)[0].id == digest(images[host])
    assert load(store, data, parse_platform("linux/s390x"))[0].id == digest(images["s390x"])
    with pytest.raises(Invalid, match="no image for linux/riscv64; it has: linux/s390x"):
        load(store, data, parse_platform("linux/riscv64"))


def spoiled(change: Mapping[str, bytes | None]) -> bytes:
    files: dict[str, bytes | None] = {**docker_archive(), **change}
    return archive({name: data for name, data in files.items() if data is not None})


def manifest_of(**fields: object) -> bytes:
    return json.dumps([{"Config": "c.json", "Layers": ["0/layer.tar", "1/layer.tar", "2/layer.tar"]} | fields]).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (spoiled({"1/layer.tar": None}), "the archive lacks 1/layer.tar"),
        (spoiled({"c.json": None}), "the archive lacks c.json"),
        (spoiled({"1/layer.tar": LAYERS[2]}), f'invalid diffID for layer 1: expected "{digest(LAYERS[1])}", got "{digest(LAYERS[2])}"'),
        (spoiled({"manifest.json": manifest_of(Layers=["0/layer.tar"])}), "layers length mismatch: expected 3, got 1"),
        (spoiled({"manifest.json": manifest_of(RepoTags=["UPPER:x"])}), "must be lowercase"),
        (spoiled({"manifest.json": manifest_of(RepoTags=["untagged"])}), 'invalid tag "untagged"'),
        (spoiled({"manifest.json": b"{}"}), "invalid manifest.json"),
        (spoiled({"manifest.json": None}), "neither manifest.json nor index.json"),
        (spoiled({"c.json": b'{"rootfs": 1}'}), "invalid image config"),
        (spoiled({"c.json": config(LAYERS, os="windows")}), "cannot load windows image on linux"),
        (spoiled({"1/layer.tar": gzip.compress(LAYERS[1])[:-9]}), "unexpected EOF in gzip data"),
        (spoiled({"1/layer.tar": tarball([Member("../x", data=b"x")])}), "outside of the archive's root"),
        (spoiled({"1/layer.tar": LAYERS[1][:2000]}), "unexpected EOF"),
        (archive({"index.json": b"[]"}), "invalid manifest"),
        (archive({"index.json": index([described(b"x", oci.OCI_MANIFEST)])}), "the archive lacks"),
        (archive({f"blobs/sha256/{'a' * 64}": b"{}", "index.json": index([])}), "does not have the digest"),
    ],
)
def test_broken_archives_are_refused_and_nothing_stays(store: Store, data: bytes, message: str) -> None:
    with pytest.raises(Invalid) as error:
        load(store, data)
    assert message in error.value.message
    assert store.images.all() == []
    assert store.layers.all() == []
    store.background.wait()
    assert list(Path(store.root.work).iterdir()) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_blob_with_a_wrong_name_is_refused(store: Store, pack: Any) -> None:
    image, right, wrong = config(LAYERS[:1]), pack(LAYERS[0]), pack(LAYERS[1])
    manifest = image_manifest(image, [right])
    files = {blob(image): image, blob(manifest): manifest, blob(right): wrong, "index.json": index([described(manifest, oci.OCI_MANIFEST)])}
    with pytest.raises(Invalid, match="its name says"):
        load(store, archive(files))
    assert store.layers.all() == []


def test_what_cannot_be_loaded_says_what_it_is(store: Store) -> None:
    with pytest.raises(Unsupported) as error:
        load(store, archive({"repositories": b'{"x":{}}'}))
    assert error.value.hint
    artifact = json.dumps({"schemaVersion": 2, "config": described(b"{}", "application/vnd.model"), "layers": []}).encode()
    with pytest.raises(Unsupported, match="is an artifact"):
        load(store, layout([described(artifact, oci.OCI_MANIFEST)], artifact, b"{}"))


def test_a_bomb_in_an_archive_ends_at_the_limit(store: Store) -> None:
    files = docker_archive([LAYERS[0], tarball([Member("zeros", data=bytes(3 << 20))])])
    files["1/layer.tar"] = gzip.compress(files["1/layer.tar"])
    with pytest.raises(EngineError, match="larger than 1048576 bytes"):
        load_archive(store, chunked(archive(files), 4000), report=lambda *_: None, limits=Limits(1 << 20))
    assert store.layers.all() == []


def test_documents_are_bounded(store: Store) -> None:
    files = {f"{n}.json": b"[" + b" " * (7 << 20) + b"]" for n in range(10)}
    with pytest.raises(Invalid, match="JSON documents are larger"):
        load(store, archive(files), chunk=1 << 20)


def test_truncation_anywhere_is_told(store: Store) -> None:
    data = archive(docker_archive())
    for cut in range(700, len(data.rstrip(b"\0")), 3100):
        with pytest.raises(Invalid):
            load(store, data[:cut])
    assert store.layers.all() == []
