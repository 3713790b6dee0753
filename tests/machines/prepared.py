"""What a machine under test is handed, made once on the host: a base image, archives of 3 and of 60 layers, the CLI's buildx plug-in."""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from tests.support.debian import CACHE, Archive
from tests.support.images import add, busybox_tar

PLUGIN = "docker-buildx"


def prepare() -> Path:
    """The folder with all of it. Raises OSError where the plug-in cannot be had."""
    folder = CACHE / "smoke"
    plugins = folder / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    base = busybox_tar()
    (folder / "base.tar").write_bytes(base)
    for name, count in (("three", 3), ("sixty", 60)):
        (folder / f"{name}.tar").write_bytes(layered_archive(name, base, count))
    if not (plugins / PLUGIN).exists():
        archive = Archive("sid")
        archive.update()
        with archive.unpacked([PLUGIN]) as files:
            shutil.copy(next(files.rglob(f"cli-plugins/{PLUGIN}")), plugins / PLUGIN)
    return folder


def layered_archive(name: str, base: bytes, count: int) -> bytes:
    """As `docker save` writes it: the first layer is `base` with more, layer N has /layer-N and its own /top; the second removes /gone."""
    layers = [_layer(number, base if number == 0 else b"") for number in range(count)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created_by": f"layer {number}"} for number in range(count)],
    }
    names = [f"layer-{number}.tar" for number in range(count)]
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": names}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "config.json", json.dumps(config).encode())
        add(tar, "manifest.json", json.dumps(manifest).encode())
        for file, layer in zip(names, layers, strict=True):
            add(tar, file, layer)
    return buffer.getvalue()


def _layer(number: int, base: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if base:
            with tarfile.open(fileobj=io.BytesIO(base)) as source:
                for member in source:
                    tar.addfile(member, source.extractfile(member) if member.isreg() else None)
            add(tar, "gone", b"seen\n")
        if number == 1:
            add(tar, ".wh.gone")
        add(tar, f"layer-{number}", f"{number}\n".encode())
        add(tar, "top", f"{number}\n".encode())
    return buffer.getvalue()
