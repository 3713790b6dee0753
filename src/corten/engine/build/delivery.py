"""What a client sends for a build: the context alone, as Docker's clients do, or a parcel of several parts, as `corten build` does.

A parcel is a tar whose members are named by their part, in this order:

    options.json        what has no place in the query (`Extras`)
    secret/ID           a secret's value; it stays in memory
    dockerfile          the Dockerfile, when it is not one of the context's files
    dockerignore        what lies beside that one as its own ignore file
    named/NAME/...      the folder of a --build-context
    context/...         the context

BuildKit's session, which asks for each part when a step needs it, fills the same `Delivery`.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from corten.build.files.tree import Tree
from corten.build.options import SecretStore, SSHAgents
from corten.errors import Invalid
from corten.store.files import free_bytes
from corten.store.layers import Layers
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.loops import with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.header import BLOCK_DEVICE, CHAR, HARD_LINK, Entry
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

PARCEL_TYPE = "application/x-corten-build"
LARGEST_SECRET = 500 << 10  # as BuildKit
MOST_SECRETS = 1000
LARGEST_OPTIONS = 4 << 20


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ssh`: agent sockets on the engine's machine by id. `contexts`: named contexts that are no folders (docker-image://, URLs).

    `provenance` and `sbom` are those flags' fields, none for none. `ca` "" leaves it to the engine's configuration. `cache_to` and
    `cache_from` are the fields of each such flag; folders in them are on the engine's machine.
    """

    no_cache_filter: list[str] = []
    allow: list[str] = []
    ssh: dict[str, str] = {}
    contexts: dict[str, str] = {}
    call: Literal["build", "check", "outline", "targets"] = "build"
    check_reproducible: bool = False
    ca: str = ""
    provenance: dict[str, str] = {}
    sbom: dict[str, str] = {}
    cache_to: list[dict[str, str]] = []
    cache_from: list[dict[str, str]] = []


@dataclass(slots=True)
class Delivery:
    context: Tree
    named: dict[str, Tree | str] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    extras: Extras = field(default_factory=Extras)
    text: str | None = None  # the Dockerfile's, where it does not lie in the context
    secret_source: SecretStore | None = None
    agent_source: SSHAgents | None = None
    definition: bytes | None = None
    ignored: bytes | None = None


class Counted:
    """A body that knows how many bytes of it came."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.size = 0

    def __aiter__(self) -> "Counted":
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._body)
        self.size += len(piece)
        return piece


@asynccontextmanager
async def received(layers: Layers, body: AsyncIterator[bytes], *, parcel: bool) -> AsyncIterator[Delivery]:
    """What is in `body` (a tar, plain or compressed), its files in folders that are gone in the end. Raises Invalid for a bad archive."""
    with layers.workplace() as work, ExitStack() as stack:
        folder = os.path.join(work, "diff")
        parts = _Parts(folder, stack)
        await with_body(body, lambda chunks: _unpack(chunks, parts, parts.parcel if parcel else parts.whole))
        delivery = Delivery(Tree(parts.opened("context"), own=False), secrets=parts.secrets, extras=parts.extras)
        delivery.definition, delivery.ignored = parts.texts.get("dockerfile"), parts.texts.get("dockerignore")
        delivery.named |= {name: Tree(parts.opened(f"named/{name}"), own=False) for name in parts.names}
        yield delivery


def root_of(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class _Parts:
    """Where members go."""

    def __init__(self, folder: str, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._unpackers: dict[str, Unpacker] = {}
        self.names: dict[str, None] = {}
        self.secrets: dict[str, bytes] = {}
        self.texts: dict[str, bytes] = {}
        self.extras = Extras()

    def opened(self, part: str) -> int:
        """The part's folder, made when nothing of it came."""
        folder = os.path.join(self._folder, part)
        os.makedirs(folder, exist_ok=True)
        fd = root_of(folder)
        self._stack.callback(os.close, fd)
        return fd

    def whole(self, entry: Entry, reader: TarReader) -> None:
        self._file("context", entry, reader)

    def parcel(self, entry: Entry, reader: TarReader) -> None:
        part, _, rest = entry.name.removeprefix(b"./").partition(b"/")
        match part:
            case b"context":
                self._moved("context", rest, 1, entry, reader)
            case b"named":
                name, _, rest = rest.partition(b"/")
                self._check_name(os.fsdecode(name))
                self._moved(f"named/{os.fsdecode(name)}", rest, 2, entry, reader)
            case b"secret":
                self._secret(os.fsdecode(rest), entry, reader)
            case b"options.json":
                self.extras = _extras(_payload(reader, entry, LARGEST_OPTIONS))
            case b"dockerfile" | b"dockerignore":
                self.texts[part.decode()] = _payload(reader, entry, LARGEST_OPTIONS)
            case _:
                raise Invalid(f"a build parcel has no part {os.fsdecode(part)!r}", reason="bad-parcel")

    def _check_name(self, name: str) -> None:
        if not name or name in (".", ".."):
            raise Invalid(f"bad name of a build context: {name!r}", reason="bad-parcel")
        self.names[name] = None

    def _moved(self, part: str, name: bytes, depth: int, entry: Entry, reader: TarReader) -> None:
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
            raise Invalid(f"more than {MOST_SECRETS} secrets", reason="bad-parcel")
        self.secrets[name] = _payload(reader, entry, LARGEST_SECRET)

    def finish(self) -> None:
        for unpacker in self._unpackers.values():
            unpacker.finish()


def _payload(reader: TarReader, entry: Entry, limit: int) -> bytes:
    if entry.size > limit:
        raise Invalid(f"{os.fsdecode(entry.name)} of the build is larger than {limit >> 10} KiB", reason="bad-parcel")
    return b"".join(bytes(piece) for piece in reader.payload())


def _extras(data: bytes) -> Extras:
    try:
        return msgspec.json.decode(data, type=Extras)
    except msgspec.DecodeError as error:
        raise Invalid(f"options of the build: {error}", reason="bad-parcel") from error


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
