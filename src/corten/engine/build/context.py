"""Build contexts: a tar from the client, unpacked into a folder that is gone when the build is over."""

import os
import posixpath
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from corten.build.dockerfile.errors import DockerfileError
from corten.build.tree import Tree
from corten.errors import Invalid, NotFound
from corten.ignore import IgnoreRules, parse_ignore_file
from corten.store.layers import Layers
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.loops import with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.header import BLOCK_DEVICE, CHAR, Entry
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

LARGEST_DOCKERFILE = 16 << 20
LARGEST_IGNORE = 4 << 20


@asynccontextmanager
async def received(layers: Layers, body: AsyncIterator[bytes]) -> AsyncIterator[Tree]:
    """The context in `body` (a tar, plain or compressed), with its `.dockerignore` in force. Raises Invalid for a bad archive."""
    with layers.workplace() as work:
        folder = os.path.join(work, "diff")
        await with_body(body, lambda chunks: _unpack(chunks, folder))
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield Tree(root, own=False)
        finally:
            os.close(root)


def read_dockerfile(tree: Tree, name: str) -> str:
    """Raises NotFound in Docker's words, Invalid for one that is no text."""
    clean = posixpath.normpath("/" + name).lstrip("/")
    try:
        raw = _read(tree, clean, LARGEST_DOCKERFILE + 1)
    except OSError as error:
        raise NotFound(f"Cannot locate specified Dockerfile: {name}", reason="no-dockerfile") from error
    if len(raw) > LARGEST_DOCKERFILE:
        raise DockerfileError(f"the Dockerfile is larger than {LARGEST_DOCKERFILE >> 20} MiB", line=1)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{name} is not UTF-8 text: {error}", reason="dockerfile-encoding") from error


def ignore_rules(tree: Tree, dockerfile: str) -> IgnoreRules | None:
    """`NAME.dockerignore` beside the Dockerfile wins over `.dockerignore`; the Dockerfile itself is read in any case."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            return IgnoreRules(parse_ignore_file(_read(tree, name, LARGEST_IGNORE).decode(errors="replace")))
        except OSError:
            continue
    return None


def _read(tree: Tree, path: str, limit: int) -> bytes:
    with open(tree.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        return file.read(limit)


def _unpack(chunks: Iterator[Chunk], folder: str) -> None:
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    unpacker = Unpacker(root, overlay=False)
    entry: Entry | None = None
    try:
        compression, chunks = sniffed(chunks)
        reader = TarReader(decompressed(chunks, compression))
        while (entry := reader.next_entry()) is not None:
            if entry.type in (CHAR, BLOCK_DEVICE):
                raise Invalid(f'the build context holds a device: "{os.fsdecode(entry.name)}"', reason="context-device")
            entry.uid = entry.gid = 0
            unpacker.add(entry, reader)
        unpacker.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
    finally:
        unpacker.close()
        os.close(root)
