"""Small OCI images put into a `faulty_registry.Registry`."""

import gzip
import hashlib
import io
import json
import os
import tarfile

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


def add_image(registry: Registry, layers: list[bytes], tag: str = "latest", architecture: str = "amd64") -> str:
    """Stores an image of these (plain) layer tars, gzipped; its manifest's digest."""
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["true"], "Labels": {"made": "here"}},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    raw = json.dumps(config).encode()
    descriptors = []
    for layer in layers:
        blob = gzip.compress(layer, 1, mtime=0)
        media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
        descriptors.append({"mediaType": media_type, "digest": registry.add_blob(blob), "size": len(blob)})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": registry.add_blob(raw), "size": len(raw)},
        "layers": descriptors,
    }
    return registry.add_manifest(tag, json.dumps(manifest).encode(), MANIFEST)


def add_index(registry: Registry, manifests: dict[str, str], tag: str = "latest") -> str:
    """An index of manifest digests by architecture; its digest."""
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": digest,
            "size": len(registry.manifests[digest][1]),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, digest in manifests.items()
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return registry.add_manifest(tag, json.dumps(index).encode(), INDEX)
