"""What ADD can and COPY cannot: archives unpacked by their content, and files from URLs."""

import asyncio
import hashlib
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import urllib3

from corten.build.copying import Copier
from corten.build.dockerfile import instructions as ins
from corten.build.steps.surroundings import Surroundings
from corten.build.tree import Tree
from corten.errors import Invalid, Unavailable, Unsupported
from corten.store.streams.compression import decompressed, sniffed
from corten.store.tar.header import checksum_holds
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"(git@|git://|ssh://)|\.git(#.*)?$")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that was fetched: `folder`/`name`; `digest` is its content's."""

    folder: str
    name: str
    digest: str


def is_remote(source: str) -> bool:
    return bool(_URL.match(source) or _GIT.search(source))


async def fetch(source: str, step: ins.Copy, around: Surroundings) -> Remote:
    """The file at a URL, checked against `--checksum`. Raises Unavailable, Invalid; Unsupported for git."""
    if _GIT.search(source):
        hint = "clone it into the context, or RUN git clone in a stage"
        raise Unsupported(f"ADD from a git repository ({source}) is not supported yet", reason="add-git", hint=hint)
    return await asyncio.to_thread(_fetch, source, step.checksum, around.newest)


def _fetch(url: str, checksum: str, newest: int) -> Remote:
    name = unquote(posixpath.basename(urlsplit(url).path)) or "index"
    folder = tempfile.mkdtemp(prefix="corten-add-")
    path = os.path.join(folder, name)
    total = hashlib.sha256()
    try:
        answer = urllib3.PoolManager().request("GET", url, preload_content=False, retries=3, timeout=60)
        if answer.status != 200:
            raise Invalid(f"invalid response status {answer.status} for {url}", reason="add-url")
        with open(path, "wb") as file:
            while piece := answer.read(_PIECE):
                total.update(piece)
                file.write(piece)
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(f"{url}: {error}", reason="add-url") from error
    os.chmod(path, 0o600)
    os.utime(path, ns=(newest, newest))
    digest = f"sha256:{total.hexdigest()}"
    if checksum and checksum != digest:
        raise Invalid(f"digest mismatch {digest}: {checksum} was expected of {url}", reason="add-checksum")
    return Remote(folder, name, digest)


def is_archive(tree: Tree, path: str) -> bool:
    """A tar, plain or compressed, told by its content."""
    if tree.is_directory(path):
        return False
    try:
        with open(tree.open(path), "rb") as file:
            compression, chunks = sniffed(_chunks(file.fileno()))
            first = next(iter(decompressed(chunks, compression)), b"")
    except (Invalid, OSError):
        return False
    return len(first) >= 512 and checksum_holds(bytes(first[:512]))


def extract(copier: Copier, path: str, target: str) -> None:
    """The archive's members below `target`, as the archive has them."""
    folder = copier.directory(target)
    source = copier.source.open(path)
    unpacker = Unpacker(folder, overlay=False)
    entry = None
    try:
        compression, chunks = sniffed(_chunks(source))
        reader = TarReader(decompressed(chunks, compression))
        while (entry := reader.next_entry()) is not None:
            unpacker.add(entry, reader)
        unpacker.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
    finally:
        unpacker.close()
        os.close(source)
        os.close(folder)


def _chunks(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, _PIECE):
        yield piece
