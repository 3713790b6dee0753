"""Where a stream's bytes are between the pipe they came from and everybody who wants them: memory that survives a `kill -9`.

splice(2) moves bytes from the pipe to the spool, a memfd, and advances the memfd's file offset, in one system call: at any
instant a byte is in the pipe or in the spool, and the offset says how many came. The launcher holds a copy of the descriptor, so
the offset too, and a successor goes on as if nothing had happened. Positions count from the stream's first byte and never wrap;
what every reader has passed is given back by punching holes.
"""

import ctypes
import os

from corten.kernel.libc import check, libc

CHUNK = 256 << 10
_PAGE = 4096
_RELEASE = 64 << 10
_PUNCH_HOLE_KEEP_SIZE = 3

_fallocate = libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Spool:
    """`head` is the position of the next byte to come. Owns its descriptor, which whoever shares it last closes."""

    __slots__ = ("_released", "_users", "fd", "head")

    def __init__(self, fd: int | None = None) -> None:
        """A new spool, or the one that `fd` (the spool's now) is, wherever it stands."""
        self.fd = os.memfd_create("corten-spool") if fd is None else fd
        self.head = 0 if fd is None else os.lseek(fd, 0, os.SEEK_CUR)
        self._released = 0
        self._users = 1

    def pull(self, pipe: int) -> int | None:
        """Take up to CHUNK bytes out of a non-blocking pipe; how many: 0 at its end, None when it is empty now."""
        try:
            count: int = os.splice(pipe, self.fd, CHUNK)
        except BlockingIOError:
            return None
        self.head += count
        return count

    def read(self, position: int, size: int) -> bytes:
        return os.pread(self.fd, min(size, self.head - position), position)

    def release(self, position: int) -> None:
        """Nobody reads before `position` any more."""
        end = position & -_PAGE
        if end - self._released >= _RELEASE:
            check(_fallocate(self.fd, _PUNCH_HOLE_KEEP_SIZE, self._released, end - self._released), "fallocate")
            self._released = end

    def share(self) -> "Spool":
        self._users += 1
        return self

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            os.close(self.fd)
