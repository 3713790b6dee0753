"""One layer as an image archive (docker-archive) that any engine loads. The same layer gives the same image."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

from corten.oci.defaults import DEFAULT_PATH

PIECE = 1 << 20
PATH = f"PATH={DEFAULT_PATH}"
ARCHITECTURES = {"armhf": ("arm", "v7"), "armel": ("arm", "v5"), "arm64": ("arm64", "v8"), "i386": ("386", ""), "ppc64el": ("ppc64le", "")}
"""Debian's names where they are not those of images."""


class About(NamedTuple):
    """`architecture` is Debian's name; `epoch` is in seconds; `made_by` stands in the history."""

    tag: str
    architecture: str
    epoch: int
    made_by: str


def image_archive(layer: BinaryIO, size: int, about: About) -> Iterator[bytes]:
    """The archive in pieces. `layer` is a plain tar of `size` bytes, read twice."""
    config = json.dumps(_config(_digest(layer), about), separators=(",", ":")).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [about.tag], "Layers": ["layer.tar"]}]
    yield from _member("manifest.json", json.dumps(manifest).encode(), about.epoch)
    yield from _member(name, config, about.epoch)
    yield _header("layer.tar", size, about.epoch)
    layer.seek(0)
    while piece := layer.read(PIECE):
        yield piece
    yield bytes(-size % 512)
    yield bytes(1024)


def _digest(layer: BinaryIO) -> str:
    layer.seek(0)
    found = hashlib.sha256()
    while piece := layer.read(PIECE):
        found.update(piece)
    return f"sha256:{found.hexdigest()}"


def _config(diff_id: str, about: About) -> dict[str, object]:
    architecture, variant = ARCHITECTURES.get(about.architecture, (about.architecture, ""))
    created = datetime.fromtimestamp(about.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "created": created,
        "config": {"Env": [PATH], "Cmd": ["bash"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "created_by": about.made_by, "comment": "from the distribution's signed packages"}],
    }


def _member(name: str, data: bytes, epoch: int) -> Iterator[bytes]:
    yield _header(name, len(data), epoch)
    yield data + bytes(-len(data) % 512)


def _header(name: str, size: int, epoch: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = size, epoch
    return entry.tobuf(tarfile.PAX_FORMAT)
