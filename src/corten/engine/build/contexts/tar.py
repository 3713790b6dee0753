"""A build's inputs in the body of POST /build: a tar of the context, as Docker's clients send it, or a multipart request (`corten build`).

A multipart request is a tar whose members are named by their part, in this order:

    options.json        what has no place in the query (`SolveOptions`)
    secret/ID           a secret's value; it stays in memory
    dockerfile          the Dockerfile, when it is not one of the context's files
    dockerignore        its own ignore file, then
    named/NAME/...      the files of a --build-context
    context/...         the context
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec

from corten.build.files.tree import Tree
from corten.engine.build.contexts.source import BuildInputs
from corten.engine.build.solve_options import SolveOptions
from corten.engine.build.vertices import InternalVertices
from corten.errors import Invalid, Unavailable
from corten.store.files import free_bytes
from corten.store.opened import Store
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.loops import with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.header import BLOCK_DEVICE, CHAR, HARD_LINK, Entry
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

MULTIPART_TYPE = "application/x-corten-build"
LARGEST_SECRET = 500 << 10  # as BuildKit
MOST_SECRETS = 1000
LARGEST_OPTIONS = 4 << 20


@dataclass(frozen=True, slots=True)
class RequestSecrets:
    values: Mapping[str, bytes]

    async def find(self, secret_id: str) -> bytes | None:
        return self.values.get(secret_id)


@dataclass(frozen=True, slots=True)
class LocalAgentSockets:
    """`sockets` by id. The client runs on this machine, or it could not have named them."""

    sockets: Mapping[str, str]

    async def connect(self, agent_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        path = self.sockets.get(agent_id)
        if path is None:
            return None
        try:
            return await asyncio.open_unix_connection(path)
        except OSError as error:
            raise Unavailable(f"the SSH agent {agent_id} at {path} does not answer: {error.strerror}", reason="ssh-agent") from error


@dataclass(frozen=True, slots=True)
class TarContext:
    """`corten.engine.build.contexts.source.ContextSource` of a request's `body`, plain or compressed."""

    body: AsyncIterator[bytes]
    multipart: bool = False

    @asynccontextmanager
    async def opened(self, store: Store, vertices: InternalVertices) -> AsyncIterator[BuildInputs]:
        """The files are in directories that are removed in the end. Raises Invalid for a bad archive."""
        with store.layers.workplace() as work, ExitStack() as stack:
            parts = _Parts(os.path.join(work, "diff"), stack)
            with vertices.step("load build context") as step:
                body, take = _CountedBody(self.body), parts.of_multipart if self.multipart else parts.of_context
                await with_body(body, lambda chunks: _unpack(chunks, parts, take))
                vertices.progress(step, "transferring context", body.size)
            yield BuildInputs(
                context=Tree(parts.opened("context"), own=False),
                named={name: Tree(parts.opened(f"named/{name}"), own=False) for name in parts.names},
                options=parts.options,
                secrets=RequestSecrets(parts.secrets),
                agents=LocalAgentSockets(parts.options.ssh),
                dockerfile=parts.texts.get("dockerfile"),
                dockerignore=parts.texts.get("dockerignore"),
                is_disposable=True,
            )


class _CountedBody:
    """A body that knows how many of its bytes were read."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.size = 0

    def __aiter__(self) -> "_CountedBody":
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._body)
        self.size += len(piece)
        return piece


def root_of(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class _Parts:
    """The parts of one request: files in directories, the rest in memory."""

    def __init__(self, folder: str, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._unpackers: dict[str, Unpacker] = {}
        self.names: dict[str, None] = {}
        self.secrets: dict[str, bytes] = {}
        self.texts: dict[str, bytes] = {}
        self.options = SolveOptions()

    def opened(self, part: str) -> int:
        """The part's folder, made when nothing of it came."""
        folder = os.path.join(self._folder, part)
        os.makedirs(folder, exist_ok=True)
        fd = root_of(folder)
        self._stack.callback(os.close, fd)
        return fd

    def of_context(self, entry: Entry, reader: TarReader) -> None:
        self._file("context", entry, reader)

    def of_multipart(self, entry: Entry, reader: TarReader) -> None:
        part, _, rest = entry.name.removeprefix(b"./").partition(b"/")
        match part:
            case b"context":
                self._renamed("context", rest, 1, entry, reader)
            case b"named":
                name, _, rest = rest.partition(b"/")
                self._check_name(os.fsdecode(name))
                self._renamed(f"named/{os.fsdecode(name)}", rest, 2, entry, reader)
            case b"secret":
                self._secret(os.fsdecode(rest), entry, reader)
            case b"options.json":
                self.options = _options(_payload(reader, entry, LARGEST_OPTIONS))
            case b"dockerfile" | b"dockerignore":
                self.texts[part.decode()] = _payload(reader, entry, LARGEST_OPTIONS)
            case _:
                raise Invalid(f"a multipart build request has no part {os.fsdecode(part)!r}", reason="bad-multipart")

    def _check_name(self, name: str) -> None:
        if not name or name in (".", ".."):
            raise Invalid(f"bad name of a build context: {name!r}", reason="bad-multipart")
        self.names[name] = None

    def _renamed(self, part: str, name: bytes, depth: int, entry: Entry, reader: TarReader) -> None:
        if not name.strip(b"/"):
            return
        entry.name = name
        if entry.link and entry.type == HARD_LINK:
            entry.link = entry.link.split(b"/", depth)[-1]
        self._file(part, entry, reader)

    def _file(self, part: str, entry: Entry, reader: TarReader) -> None:
        if entry.type in (CHAR, BLOCK_DEVICE):
            raise Invalid(f'the build context holds a device: "{os.fsdecode(entry.name)}"', reason="context-device")
        if entry.sparse and entry.length > free_bytes(self._folder):
            text = f'"{os.fsdecode(entry.name)}" of the build context has {entry.length} bytes, more than the disk has room for'
            raise Invalid(text, reason="context-sparse")
        entry.uid = entry.gid = 0
        unpacker = self._unpackers.get(part)
        if unpacker is None:
            unpacker = self._unpackers[part] = Unpacker(self.opened(part), overlay=False)
            self._stack.callback(unpacker.close)
        unpacker.add(entry, reader)

    def _secret(self, name: str, entry: Entry, reader: TarReader) -> None:
        if len(self.secrets) >= MOST_SECRETS:
            raise Invalid(f"more than {MOST_SECRETS} secrets", reason="bad-multipart")
        self.secrets[name] = _payload(reader, entry, LARGEST_SECRET)

    def finish(self) -> None:
        for unpacker in self._unpackers.values():
            unpacker.finish()


def _payload(reader: TarReader, entry: Entry, limit: int) -> bytes:
    if entry.size > limit:
        raise Invalid(f"{os.fsdecode(entry.name)} of the build request is larger than {limit >> 10} KiB", reason="bad-multipart")
    return b"".join(bytes(piece) for piece in reader.payload())


def _options(data: bytes) -> SolveOptions:
    try:
        return msgspec.json.decode(data, type=SolveOptions)
    except msgspec.DecodeError as error:
        raise Invalid(f"options.json of the build request: {error}", reason="bad-multipart") from error


def _unpack(chunks: Iterator[Chunk], parts: _Parts, take: Callable[[Entry, TarReader], None]) -> None:
    entry: Entry | None = None
    try:
        compression, chunks = sniffed(chunks)
        reader = TarReader(decompressed(chunks, compression))
        while (entry := reader.next_entry()) is not None:
            take(entry, reader)
        parts.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
