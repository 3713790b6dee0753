"""Small OCI images put into a `faulty_registry.Registry`."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from typing import Any

from corten.store.streams import zstd
from tests.support.faulty_registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def layer_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def random_layers(count: int, size: int) -> list[bytes]:
    return [layer_tar({f"layer{n}": os.urandom(size)}) for n in range(count)]


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def packed(layer: bytes, packing: str) -> bytes:
    """A layer's blob in the form that a media type's end names: "gzip", "zstd" or "" for the plain tar."""
    if packing == "zstd":
        return zstd.compress(layer)
    return gzip.compress(layer, 1, mtime=0) if packing == "gzip" else layer


def add_image(registry: Registry, layers: list[bytes], tag: str = "latest", architecture: str = "amd64", packing: str = "gzip") -> str:
    """Stores an image of these (plain) layer tars; its manifest's digest."""
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["true"], "Labels": {"made": "here"}},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    raw = json.dumps(config).encode()
    descriptors = []
    for layer in layers:
        blob = packed(layer, packing)
        media_type = f"application/vnd.oci.image.layer.v1.tar{'+' if packing else ''}{packing}"
        descriptors.append({"mediaType": media_type, "digest": registry.add_blob(blob), "size": len(blob)})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": registry.add_blob(raw), "size": len(raw)},
        "layers": descriptors,
    }
    return registry.add_manifest(tag, json.dumps(manifest).encode(), MANIFEST)


def add_index(registry: Registry, manifests: dict[str, str], tag: str = "latest", attested: Sequence[str] = ()) -> str:
    """An index of manifest digests by architecture, with an attestation about each that `attested` names; its digest."""
    entries: list[dict[str, Any]] = [
        _entry(registry, digest, {"platform": {"os": "linux", "architecture": architecture}}) for architecture, digest in manifests.items()
    ]
    for architecture in attested:
        subject = manifests[architecture]
        annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject}
        more = {"annotations": annotations, "platform": {"os": "unknown", "architecture": "unknown"}}
        entries.append(_entry(registry, _attestation(registry, subject), more))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return registry.add_manifest(tag, json.dumps(index).encode(), INDEX)


def _entry(registry: Registry, digest: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"mediaType": MANIFEST, "digest": digest, "size": len(registry.manifests[digest][1]), **more}


def _attestation(registry: Registry, subject: str) -> str:
    statement = json.dumps({"predicateType": "https://slsa.dev/provenance/v1", "subject": [{"digest": subject}]}).encode()
    config = json.dumps(
        {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [sha256(statement)]}}
    ).encode()
    parts = [("application/vnd.oci.image.config.v1+json", config), ("application/vnd.in-toto+json", statement)]
    described = [{"mediaType": kind, "digest": registry.add_blob(raw), "size": len(raw)} for kind, raw in parts]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    return registry.add_manifest(f"attestation-{subject[7:19]}", json.dumps(manifest).encode(), MANIFEST)
