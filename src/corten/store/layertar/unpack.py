"""A layer from its tar stream: decompressed, hashed and unpacked as it arrives, committed by one rename when its diff id is known.

source ─▶ [thread: decompress] ─▶ ┬ [thread: sha256] ─▶ diff id
                                  └ tar reader ─▶ files of tmp/work/X/diff, split data in tmp/work/X/split
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from corten.errors import Invalid, Unavailable
from corten.ids import DiffId
from corten.store.layers import Layer, Layers
from corten.store.records.leases import Lease
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.threads import Chunk, Hashed, Prefetched
from corten.store.tar.header import Entry
from corten.store.tar.reader import TarReader
from corten.store.tar.split import SplitWriter, shadow_name
from corten.store.tar.unpack import Unpacker, archive_error


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may grow to, in bytes of its plain tar, so that a compressed bomb does not fill the disk. None: the store's
    own limit (`Layers.largest`), or what is free.

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
        room = _Room(limits if limits.max_bytes is not None else replace(limits, max_bytes=layers.largest), work, layers.reclaim)
        hashed = stages.enter_context(Hashed(room.bounded(plain)))
        size, entries = _unpack(iter(hashed), work, room)
        diff_id = DiffId(hashed.digest())
        if expected is not None and diff_id != expected:
            raise Invalid(f"layer has diff id {diff_id}, expected {expected}", reason="digest-mismatch")
        return layers.commit(work, Layer(diff_id, size, hashed.size, entries), lease)


def _unpack(chunks: Iterator[Chunk], work: str, room: "_Room") -> tuple[int, int]:
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
                room.check(entries, unpacker.implied)
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


class _Room:
    """What a layer may take: bytes of its tar, inodes, and blocks for directories that no member brought but paths imply.

    A tar of 4 MB can imply two million directories, and one of a few kB, packed, a million empty files. Where it does not fit, `reclaim`
    is asked for room, and the layer goes on where it was.
    """

    def __init__(self, limits: Limits, work: str, reclaim: Callable[[int], int]) -> None:
        self._limits = limits
        self._work = work
        self._reclaim = reclaim
        self._passed = self._made = 0
        self._look()

    def _look(self) -> None:
        """What is free now, beside what the layer has taken."""
        found = os.statvfs(self._work)
        self._free = self._passed + max(found.f_bavail * found.f_frsize - self._limits.reserve, 0)
        # Some are left alone for the engine's own files; btrfs has no fixed number of them.
        self._inodes = self._made + found.f_favail - min(1000, found.f_favail // 20) if found.f_files else None

    def bounded(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            self._passed += len(chunk)
            self._check_bytes(0)
            yield chunk

    def check(self, entries: int, implied: int) -> None:
        """After each member. Raises Invalid for a layer over the limit, Unavailable for a full disk."""
        if implied:
            self._check_bytes(implied * _DIRECTORY_BYTES)
        self._made = entries + implied
        while self._inodes is not None and self._made > self._inodes:
            if self._reclaim(_AT_ONCE):
                self._look()
                continue
            raise Unavailable(
                f"no space left on device: the layer needs more than the {self._inodes} inodes that are free",
                reason="disk-full",
                hint=_HINT,
            )

    def _check_bytes(self, more: int) -> None:
        limit = self._limits.max_bytes
        while (needed := self._passed + more) > self._free:
            if limit is not None and needed > limit:
                break
            if not self._reclaim(max(needed - self._free, _AT_ONCE)):
                text = f"no space left on device: the layer needs more than the {self._free} bytes that are free"
                raise Unavailable(text, reason="disk-full", hint=_HINT)
            self._look()
        if limit is not None and needed > limit:
            raise Invalid(f"the layer is larger than {limit} bytes unpacked, the limit", reason="layer-too-big", hint=_HINT_LIMIT)


_DIRECTORY_BYTES: Final = 4096
_AT_ONCE: Final = 256 << 20
"""Bytes of room that are asked for at least: not every chunk of a layer is to ask anew."""
_HINT_LIMIT: Final = "cortend's --max-layer-size sets it"
_HINT: Final = "free disk space, e.g. by `corten system prune`"
