"""Model weights, with their digests: the kinds that the engine knows in volumes, and files of the Hugging Face cache."""

import hashlib
import os
import re
from typing import Final
from urllib.parse import quote

from corten.engine.build.inventory.rootfs import Component, ScannedRoot
from corten.engine.models import is_safetensors, kind_of_weights

SUFFIXES: Final = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_CACHED: Final = re.compile(r"(?:^|/)models--([^/]+?)--([^/]+)/blobs$")
_PIECE: Final = 1 << 20
_SMALL: Final = 1 << 20


def is_cache(folder: str) -> bool:
    """Whether `folder` is where the Hugging Face cache has its files."""
    return _CACHED.search(folder) is not None


def weights(root: ScannedRoot, path: str, *, has_config: bool) -> Component | None:
    """The file of weights at `path`; None when it is none, or cannot be read. Reads all of it, for the digest."""
    try:
        fd = root.open(path, follow=False)
    except OSError:
        return None
    try:
        head, size = os.pread(fd, 16, 0), os.fstat(fd).st_size
        folder, _, name = path.rpartition("/")
        cached = _CACHED.search(folder)
        kind = _kind_in_cache(head, size) if cached else kind_of_weights(name, head, has_config=has_config)
        if kind is None:
            return None
        return Component(
            kind="FILE",
            name=f"{cached[1]}/{cached[2]}" if cached else name,
            purl=f"pkg:huggingface/{quote(cached[1], safe='')}/{quote(cached[2], safe='')}" if cached else "",
            where=f"/{path}",
            note=f"model weights ({kind}), {size} bytes",
            digest=_digest(root, fd),
        )
    except OSError:
        return None
    finally:
        os.close(fd)


def _kind_in_cache(head: bytes, size: int) -> str | None:
    if head[:4] == b"GGUF":
        return "gguf"
    if is_safetensors(head):
        return "safetensors"
    return "Hugging Face cache" if size >= _SMALL else None


def _digest(root: ScannedRoot, fd: int) -> str:
    found, position = hashlib.sha256(), 0
    while piece := os.pread(fd, _PIECE, position):
        root.check()
        found.update(piece)
        position += len(piece)
    return found.hexdigest()
