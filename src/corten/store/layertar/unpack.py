"""A layer from its tar stream: decompressed, hashed and unpacked as it arrives, committed by one rename when its diff id is known.

source ─▶ [thread: decompress] ─▶ ┬ [thread: sha256] ─▶ diff id
                                  └ tar reader ─▶ files of tmp/work/X/diff, split data in tmp/work/X/split
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from corten.errors import Invalid, Unavailable
from corten.ids import DiffId
from corten.store.files import free_bytes
from corten.store.layers import Layer, Layers, Lease
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.threads import Chunk, Hashed, Prefetched
from corten.store.tar.header import Entry
from corten.store.tar.reader import TarReader
from corten.store.tar.split import SplitWriter, shadow_name
from corten.store.tar.unpack import Unpacker, archive_error


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may grow to, in bytes of its plain tar, so that a compressed bomb does not fill the disk. None: what is free.

    `reserve` bytes of the file system are left alone: the engine's own records must still find room.
    """

    max_bytes: int | None = None
    reserve: int = 64 << 20


UNLIMITED: Final = Limits()


def unpack_layer(
    layers: Layers, source: Iterator[Chunk], *, lease: Lease, expected: DiffId | None = None, limits: Limits = UNLIMITED
) -> Layer:
    """The layer in `source` (a tar, plain or compressed), stored and held by `lease`. Blocks; reads `source` in another thread.

    Raises Invalid for a damaged, hostile, too big or unexpected layer, Unavailable when the disk is full; nothing of it stays then.
    """
    compression, source = sniffed(source)
    with layers.workplace() as work, ExitStack() as stages:
        plain = decompressed(source, compression)
        if compression != "none":
            plain = stages.enter_context(Prefetched(plain))
        hashed = stages.enter_context(Hashed(_bounded(plain, limits, work)))
        size, entries = _unpack(iter(hashed), work)
        diff_id = DiffId(hashed.digest())
        if expected is not None and diff_id != expected:
            raise Invalid(f"layer has diff id {diff_id}, expected {expected}", reason="digest-mismatch")
        return layers.commit(work, Layer(diff_id, size, hashed.size, entries), lease)


def _unpack(chunks: Iterator[Chunk], work: str) -> tuple[int, int]:
    """Fill `work` from a plain tar; bytes of files, number of entries."""
    reader = TarReader(chunks, keep_raw=True)
    entry: Entry | None = None
    entries = 0
    root_fd = os.open(os.path.join(work, "diff"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    unpacker = Unpacker(root_fd, overlay=True, on_replace=Shadows(work))
    try:
        with open(os.path.join(work, "split"), "wb", buffering=0) as split_file:
            split = SplitWriter(split_file.write)
            while (entry := reader.next_entry()) is not None:
                raw = reader.take_raw()
                content = unpacker.add(entry, reader)
                if content is not None:
                    split.add_content(raw, content)
                else:
                    split.add_raw(raw)
                    split.add_raw(reader.payload())
                entries += 1
            split.add_raw(reader.drain())
            split.finish()
        unpacker.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
    finally:
        unpacker.close()
        os.close(root_fd)
    return unpacker.size, entries


class Shadows:
    """Keeps the content of replaced members, so that the tar can still be made again."""

    def __init__(self, work: str) -> None:
        self._directory = os.path.join(work, "shadow")
        self._counts: dict[bytes, int] = {}

    def __call__(self, directory: int, name: bytes, path: bytes) -> None:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        count = self._counts.get(path, 0)
        self._counts[path] = count + 1
        os.rename(name, os.path.join(os.fsencode(self._directory), shadow_name(path, count).encode()), src_dir_fd=directory)


def _bounded(chunks: Iterator[Chunk], limits: Limits, work: str) -> Iterator[Chunk]:
    room = max(free_bytes(work) - limits.reserve, 0)
    left = room if limits.max_bytes is None else min(room, limits.max_bytes)
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            if limits.max_bytes is not None and limits.max_bytes <= room:
                raise Invalid(f"the layer is larger than {limits.max_bytes} bytes unpacked, the limit", reason="layer-too-big")
            raise Unavailable(
                f"no space left on device: the layer needs more than the {room} bytes that are free",
                reason="disk-full",
                hint="free disk space, e.g. by `corten system prune`",
            )
        yield chunk
