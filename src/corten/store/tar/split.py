"""What a layer's tar holds besides file contents, kept so that the exact tar can be made again from the unpacked files.

The idea is tar-split's; the format is our own: a zstd stream of records

    raw length u32 | payload size u64 | CRC-32 u32 | path length u16 | extents u32 | raw | path | extents (offset u64, size u64)*

A record is `raw` bytes of the tar followed, when it has a path, by a payload that now lies in that file of the layer (in `extents` of
it when it is sparse). A file whose member was replaced later in the same tar waits under the name that `shadow_name` gives.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from corten.errors import EngineError
from corten.store.streams import zstd
from corten.store.tar.contents import Content
from corten.store.tar.reader import Chunk

_HEAD: Final = struct.Struct("<IQIHI")
_EXTENT: Final = struct.Struct("<QQ")
_BATCH: Final = 256 << 10
_LEVEL: Final = 3


class Record(NamedTuple):
    raw: bytes
    content: Content | None


class SplitWriter:
    """Compresses records into `write`. Callers add every byte of the tar, in order, as raw or as content."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._compressor = zstd.ZstdCompressor(level=_LEVEL)
        self._waiting: list[bytes] = []
        self._size = 0

    def add_raw(self, raw: Iterable[Chunk]) -> None:
        for chunk in raw:
            self._add(_HEAD.pack(len(chunk), 0, 0, 0, 0))
            self._add(bytes(chunk))

    def add_content(self, raw: list[Chunk], content: Content) -> None:
        path, size, crc, extents = content
        joined = b"".join(raw)  # a copy: a view of a chunk would keep the whole chunk in memory
        self._waiting.append(_HEAD.pack(len(joined), size, crc, len(path), len(extents or ())))
        self._waiting.append(joined)
        self._waiting.append(path)
        for extent in extents or ():
            self._waiting.append(_EXTENT.pack(*extent))
        self._size += len(joined)
        self._add(b"")

    def finish(self) -> None:
        self._flush()
        self._write(self._compressor.flush())

    def _add(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._write(self._compressor.compress(b"".join(self._waiting)))
            self._waiting.clear()
            self._size = 0


def read_split(compressed: Iterable[bytes]) -> Iterator[Record]:
    """The records in order. Raises EngineError when the data is damaged."""
    source = _Plain(compressed)
    while (head := source.take(_HEAD.size)) is not None:
        raw_length, size, crc, path_length, extent_count = _HEAD.unpack(head)
        body = source.take(raw_length + path_length + extent_count * _EXTENT.size)
        if body is None:
            raise damaged()
        raw, path = body[:raw_length], body[raw_length : raw_length + path_length]
        extents = list(_EXTENT.iter_unpack(body[raw_length + path_length :])) or None
        yield Record(raw, Content(path, size, crc, extents) if path else None)


def shadow_name(path: bytes, count: int) -> str:
    """Where the content of the `count`-th replaced member (from 0) called `path` waits."""
    return f"{hashlib.blake2b(path, digest_size=16).hexdigest()}.{count}"


def damaged(what: str = "its split data is unreadable") -> EngineError:
    return EngineError(
        f"a stored layer is damaged: {what}",
        reason="layer-damaged",
        hint="`corten image verify --repair` fetches it again; pulling or loading its image does so, too",
    )


class _Plain:
    """Decompressed bytes, taken in exact lengths."""

    def __init__(self, compressed: Iterable[bytes]) -> None:
        self._compressed = iter(compressed)
        self._decompressor = zstd.ZstdDecompressor()
        self._data = b""
        self._at = 0

    def take(self, size: int) -> bytes | None:
        """Exactly `size` bytes; None when the stream ended cleanly just before them."""
        while len(self._data) - self._at < size:
            more = self._more()
            if more is None:
                if self._at < len(self._data) or not self._decompressor.eof:
                    raise damaged()
                return None if size else b""
            self._data = self._data[self._at :] + more
            self._at = 0
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _more(self) -> bytes | None:
        try:
            while not self._decompressor.eof:
                if not self._decompressor.needs_input:
                    return self._decompressor.decompress(b"", _BATCH)
                compressed = next(self._compressed, None)
                if compressed is None:
                    return None
                if plain := self._decompressor.decompress(compressed, _BATCH):
                    return plain
        except zstd.ZstdError as error:
            raise damaged() from error
        return None
