"""The exact tar of an unpacked layer again: split data and file contents woven together, checked as they are read."""

import hashlib
import os
from collections.abc import Iterator
from typing import Final

from isal import isal_zlib

from corten.errors import EngineError
from corten.ids import DiffId
from corten.store.tar.contents import Content
from corten.store.tar.split import Record, damaged, read_split, shadow_name

_PIECE: Final = 1 << 20
_BATCH: Final = 256 << 10


def layer_tar(directory: str) -> Iterator[bytes]:
    """The tar of the layer kept in `directory`, in chunks of some 100 KiB to 1 MiB.

    Raises EngineError (reason `layer-damaged`) naming the file whose content is not what was unpacked.
    """
    contents = Contents(directory)
    waiting: list[bytes] = []
    size = 0
    try:
        for record in split_records(directory):
            waiting.append(record.raw)
            size += len(record.raw)
            for piece in contents.read(record.content) if record.content else ():
                waiting.append(piece)
                size += len(piece)
                if size >= _BATCH:
                    yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                    waiting.clear()
                    size = 0
        yield b"".join(waiting)
    finally:
        contents.close()


def split_records(directory: str) -> Iterator[Record]:
    """What the split data of the layer kept in `directory` holds. Raises EngineError (reason `layer-damaged`)."""
    return read_split(_file_pieces(os.path.join(directory, "split")))


def verify_layer(directory: str, diff_id: DiffId) -> None:
    """Reads the whole layer. Raises EngineError (reason `layer-damaged`) unless its tar still has this diff id."""
    found = hashlib.sha256()
    for chunk in layer_tar(directory):
        found.update(chunk)
    if f"sha256:{found.hexdigest()}" != diff_id:
        raise damaged(f"its diff id is {found.hexdigest()}, not {diff_id}")


class Contents:
    """Reads payloads out of the layer's files, in the order of the tar."""

    def __init__(self, directory: str) -> None:
        self._root = os.open(os.path.join(directory, "diff"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._shadows = os.path.join(directory, "shadow")
        self._shadowed = set(os.listdir(self._shadows)) if os.path.isdir(self._shadows) else set()
        self._counts: dict[bytes, int] = {}

    def close(self) -> None:
        os.close(self._root)

    def read(self, content: Content) -> Iterator[bytes]:
        path, size, crc, extents = content
        try:
            fd = self._open(path)
        except OSError as error:
            raise self._damaged(path, os.strerror(error.errno or 0).lower()) from error
        found = 0
        try:
            for offset, length in extents or ((0, size),):
                for piece in _read_range(fd, offset, length):
                    found = isal_zlib.crc32(piece, found)
                    yield piece
        except EOFError:
            raise self._damaged(path, "it is too short") from None
        finally:
            os.close(fd)
        if found != crc:
            raise self._damaged(path, "its content changed")

    def _open(self, path: bytes) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        if self._shadowed:
            count = self._counts.get(path, 0)
            name = shadow_name(path, count)
            if name in self._shadowed:
                self._counts[path] = count + 1
                return os.open(os.path.join(self._shadows, name), flags)
        return os.open(path, flags, dir_fd=self._root)

    @staticmethod
    def _damaged(path: bytes, what: str) -> EngineError:
        return damaged(f'"{os.fsdecode(path)}": {what}')


def _read_range(fd: int, offset: int, length: int) -> Iterator[bytes]:
    while length:
        piece = os.pread(fd, min(length, _PIECE), offset)
        if not piece:
            raise EOFError
        yield piece
        offset, length = offset + len(piece), length - len(piece)


def _file_pieces(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_BATCH):
                yield piece
    except OSError as error:
        raise damaged(f"its split data: {error}") from error
