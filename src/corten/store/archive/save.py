"""Images as one archive that every engine loads: an OCI image layout with docker-archive's `manifest.json` beside it.

Layers are plain tars named by diff id, made again from the unpacked files while they are sent. Documents come first, so that a
reader knows what each layer is when it arrives. The same images give the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from corten.ids import DiffId, Digest, ImageId
from corten.oci import manifest as oci
from corten.oci.digest import hex_of, sha256_digest
from corten.oci.reference import Reference
from corten.store.archive.attesting import Attested, Statement, attest
from corten.store.archive.documents import INDEX, LAYOUT, MANIFEST, REPOSITORIES, blob_name
from corten.store.images import Image
from corten.store.layers import Layer, Layers
from corten.store.layertar.rebuild import layer_tar
from corten.store.origins import StoredManifest
from corten.store.tar.header import DIRECTORY, FILE, Entry
from corten.store.tar.writer import END, header, padding

_FULL_NAME: Final = "io.containerd.image.name"
_REF_NAME: Final = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to save, the tags under which the archive shall offer it, and what is said about it."""

    image: Image
    tags: tuple[Reference, ...]
    statements: Sequence[Statement] = ()

    def attested(self, manifest: bytes) -> Attested | None:
        if not self.statements:
            return None
        stored = StoredManifest(sha256_digest(manifest), self.image.id, oci.OCI_MANIFEST, manifest)
        return attest(self.image, stored, self.tags, self.statements)


def save_archive(layers: Layers, wanted: Sequence[Saved]) -> Iterator[bytes]:
    """The archive in chunks. The caller keeps the images from being removed meanwhile.

    Raises NotFound before the first chunk when a layer is missing, EngineError (`layer-damaged`) in the middle when one is damaged.
    """
    needed = {diff_id: layers.get(diff_id) for saved in wanted for diff_id in saved.image.layers}
    manifests = {saved.image.id: _manifest(saved.image, needed) for saved in wanted}
    blobs: dict[Digest, bytes] = {}
    for saved in wanted:
        blobs[Digest(saved.image.id)] = saved.image.raw
        blobs[sha256_digest(manifests[saved.image.id])] = manifests[saved.image.id]
        if attested := saved.attested(manifests[saved.image.id]):
            blobs |= {one.digest: one.raw for one in (*attested.blobs, attested.manifest, attested.index)}
    yield _member(LAYOUT, b'{"imageLayoutVersion": "1.0.0"}')
    yield _member(INDEX, _index(wanted, manifests))
    yield _member(MANIFEST, _docker_manifest(wanted, needed))
    if repositories := _repositories(wanted):
        yield _member(REPOSITORIES, repositories)
    yield header(_entry("blobs", DIRECTORY, 0o755)) + header(_entry("blobs/sha256", DIRECTORY, 0o755))
    for digest in sorted(blobs):
        yield _member(blob_name(digest), blobs[digest])
    for diff_id in sorted(needed):
        yield header(_entry(blob_name(diff_id), FILE, 0o644, needed[diff_id].tar_size))
        yield from layer_tar(layers.directory(diff_id))
        yield padding(needed[diff_id].tar_size)
    yield END


def _entry(name: str, kind: int, mode: int, size: int = 0) -> Entry:
    return Entry(name.encode(), kind, mode, size)


def _member(name: str, data: bytes) -> bytes:
    return header(_entry(name, FILE, 0o644, len(data))) + data + padding(len(data))


def _layer_descriptor(layer: Layer) -> oci.Descriptor:
    return oci.Descriptor(media_type=oci.OCI_LAYER, digest=layer.diff_id, size=layer.tar_size)


def _manifest(image: Image, needed: dict[DiffId, Layer]) -> bytes:
    config = oci.Descriptor(media_type=oci.OCI_CONFIG, digest=image.id, size=len(image.raw))
    layers = [_layer_descriptor(needed[diff_id]) for diff_id in image.layers]
    return oci.encode(oci.Manifest(schema_version=2, media_type=oci.OCI_MANIFEST, config=config, layers=layers))


def _index(wanted: Sequence[Saved], manifests: dict[ImageId, bytes]) -> bytes:
    descriptors = []
    for saved in wanted:
        attested = saved.attested(manifests[saved.image.id])
        media_type, raw = (oci.OCI_INDEX, attested.index.raw) if attested else (oci.OCI_MANIFEST, manifests[saved.image.id])
        named: list[dict[str, str] | None] = [{_FULL_NAME: str(tag), _REF_NAME: tag.tag or ""} for tag in saved.tags]
        for annotations in named or [None]:
            descriptor = oci.Descriptor(media_type=media_type, digest=sha256_digest(raw), size=len(raw), annotations=annotations)
            descriptors.append(descriptor)
    return oci.encode(oci.Index(schema_version=2, media_type=oci.OCI_INDEX, manifests=descriptors))


def _docker_manifest(wanted: Sequence[Saved], needed: dict[DiffId, Layer]) -> bytes:
    entries = []
    for saved in wanted:
        image = saved.image
        sources = {d: {"mediaType": oci.OCI_LAYER, "size": needed[d].tar_size, "digest": d} for d in image.layers}
        entry: dict[str, object] = {
            "Config": blob_name(image.id),
            "RepoTags": [tag.familiar for tag in saved.tags] or None,
            "Layers": [blob_name(diff_id) for diff_id in image.layers],
            "LayerSources": sources,
        }
        if any(other.image.id == image.parent for other in wanted):
            entry["Parent"] = image.parent
        entries.append(entry)
    return json.dumps(entries, separators=(",", ":")).encode()


def _repositories(wanted: Sequence[Saved]) -> bytes:
    """The oldest format's index of tags, which some tools still read: repository -> tag -> top layer."""
    found: dict[str, dict[str, str]] = {}
    for saved in wanted:
        for tag in saved.tags:
            if saved.image.layers:
                found.setdefault(tag.familiar_name, {})[tag.tag or ""] = hex_of(saved.image.layers[-1])
    return json.dumps(found, separators=(",", ":"), sort_keys=True).encode() if found else b""
