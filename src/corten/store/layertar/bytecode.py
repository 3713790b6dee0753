"""Python's byte code knows the time and size of the source that it was made from (PEP 552), and is stale when they differ.

A layer's files get earlier times when they are sealed; byte code whose source is set back is told the new time here, so that it is
as good as before and the same on any day. Byte code that goes by a hash of its source, or has no source, needs nothing.
"""

import os
import stat
import struct
from typing import Final

CACHE: Final = "__pycache__"
_HEADER: Final = struct.Struct("<4sIII")  # magic, flags, time, size
_WHERE: Final = 8  # of the time
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def set_back(folder: int, newest: int) -> int:
    """Byte code in `folder`/__pycache__ of sources in `folder` that are later than `newest` (ns): how many were changed."""
    try:
        cache = os.open(CACHE, _FOLDER, dir_fd=folder)
    except OSError:
        return 0
    try:
        return sum(_set_back(folder, cache, name, newest) for name in os.listdir(cache) if name.endswith(".pyc"))
    finally:
        os.close(cache)


def _set_back(folder: int, cache: int, name: str, newest: int) -> bool:
    source = _found(folder, f"{name.partition('.')[0]}.py")
    if source is None or source.st_mtime_ns <= newest or _found(cache, name) is None:
        return False
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=cache)
    try:
        raw = os.pread(fd, _HEADER.size, 0)
        if len(raw) < _HEADER.size:
            return False
        _, flags, time, size = _HEADER.unpack(raw)
        if flags or (time, size) != (int(source.st_mtime) & 0xFFFF_FFFF, source.st_size & 0xFFFF_FFFF):
            return False
        os.pwrite(fd, struct.pack("<I", newest // 10**9 & 0xFFFF_FFFF), _WHERE)
        return True
    finally:
        os.close(fd)


def _found(folder: int, name: str) -> os.stat_result | None:
    """A regular file's status."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
