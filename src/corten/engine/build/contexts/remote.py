"""Build contexts that the engine fetches itself: a git repository, an archive or a Dockerfile at a URL."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace

from corten.build.files.git import check_out, is_git, parse_git
from corten.build.files.tree import Tree
from corten.engine.build.contexts.source import BuildInputs, ContextSource
from corten.engine.build.vertices import InternalVertices
from corten.errors import Invalid, Unavailable
from corten.registry.transport import host_trust
from corten.store.opened import Store
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.threads import Chunk
from corten.store.tar.header import checksum_holds
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

_PIECE = 1 << 20
LARGEST_TEXT = 16 << 20


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """`corten.engine.build.contexts.source.ContextSource`: the context is fetched from `url`, all else comes with `parts`.

    `dockerfile` is the name that the text of a URL gets; `keep_git_dir`: also where the repository's query does not ask for it.
    """

    url: str
    dockerfile: str
    keep_git_dir: bool
    parts: ContextSource

    @asynccontextmanager
    async def opened(self, store: Store, vertices: InternalVertices) -> AsyncIterator[BuildInputs]:
        async with AsyncExitStack() as stack:
            inputs = await stack.enter_async_context(self.parts.opened(store, vertices))
            tree = fetched_tree(self.url, store, vertices, dockerfile=self.dockerfile, keep_git_dir=self.keep_git_dir)
            inputs.context = await stack.enter_async_context(tree)
            inputs.is_disposable = True
            yield inputs


@asynccontextmanager
async def fetched_tree(
    url: str, store: Store, vertices: InternalVertices, *, dockerfile: str = "Dockerfile", keep_git_dir: bool = False
) -> AsyncIterator[Tree]:
    """What is at `url`, until the block is left. Raises Invalid, Unavailable, Unsupported."""
    with store.layers.workplace() as work:
        folder = os.path.join(work, "diff")
        with vertices.step(f"load remote build context {url}"):
            await _fetch(url, folder, dockerfile, keep_git_dir=keep_git_dir)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield Tree(root, own=False)
        finally:
            os.close(root)


async def _fetch(url: str, folder: str, dockerfile: str, *, keep_git_dir: bool) -> None:
    """Fills the empty `folder`. A URL that is no archive is taken for a Dockerfile."""
    if is_git(url):
        source = parse_git(url)
        await check_out(replace(source, keep_git_dir=source.keep_git_dir or keep_git_dir), folder)
    elif url.startswith(("http://", "https://")):
        await asyncio.to_thread(_download, url, folder, dockerfile)
    else:
        raise Invalid(f"remoteURL ({url}) could not be recognized as URL", reason="bad-remote")


def _download(url: str, folder: str, dockerfile: str) -> None:
    import urllib3  # three megabytes that an idle daemon does not carry

    try:
        answer = urllib3.PoolManager(ssl_context=host_trust()).request("GET", url, preload_content=False, retries=3, timeout=60)
        with closing(answer):
            if answer.status >= 400:
                raise Invalid(f"failed to GET {url} with status {answer.status} {answer.reason}: ", reason="remote-status")
            compression, chunks = sniffed(iter(lambda: answer.read(_PIECE), b""))
            plain = decompressed(chunks, compression)
            first = next(plain, b"")
            if len(first) >= 512 and checksum_holds(bytes(first[:512])):
                _unpack(itertools.chain([first], plain), folder)
                return
            text = bytearray(first)
            for piece in plain:
                text += piece
                if len(text) > LARGEST_TEXT:
                    raise Invalid(f"{url} is neither an archive nor a Dockerfile", reason="bad-remote")
            _write(os.path.join(folder, dockerfile), bytes(text))
    except urllib3.exceptions.HTTPError as error:
        why = str(getattr(error, "reason", None) or error).rpartition(": ")[2]
        raise Unavailable(f"error downloading remote context {url}: {why}", reason="remote-failed") from error


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def _unpack(chunks: Iterator[Chunk], folder: str) -> None:
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    unpacker = Unpacker(root, overlay=False)
    entry = None
    try:
        reader = TarReader(chunks)
        while (entry := reader.next_entry()) is not None:
            entry.uid = entry.gid = 0
            unpacker.add(entry, reader)
        unpacker.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
    finally:
        unpacker.close()
        os.close(root)
