"""FileDigests of files by what stat says of them, so that a file which did not change is not read again.

A digest holds as long as device, inode, size, modification and change time are what they were when it was read: nobody can set the
change time. A file that changed within `RACY` before it was read may change once more and look the same, as git's index has it: its
digest is good for the moment only. (A program that writes through a shared mapping changes the times late, or never.)
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

RACY: Final = 2 * 10**9
"""ns: coarser than the times of any file system that a context may be on."""
WORKERS: Final = min(4, os.cpu_count() or 1)
_SMALL: Final = 128 << 10
"""Bytes of a file that is read at once, into no buffer of its own."""
_PIECE: Final = 1 << 20
_WORTH: Final = 4 << 20
"""Bytes that are worth a second thread, a file counting for as many as `_OPENING` at least."""
_OPENING: Final = 32 << 10
_TRIES: Final = 3
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

T = TypeVar("T")
Inode = tuple[int, int]
"""device, number"""
Known = dict[Inode, tuple[int, int, int, bytes]]
"""size, mtime, ctime (ns), sha256"""


class FileChanging(OSError):
    """A file that changes, or is none any more, while it is read."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file as it was when it was read. `is_settled`: it cannot change without looking different."""

    found: os.stat_result
    digest: bytes
    is_stable: bool = True


class FileDigests:
    """For one tree. Threads may share it."""

    def __init__(self, known: Known | None = None, *, private: bool = True, clock: Callable[[], int] = time.time_ns) -> None:
        """`known` is what earlier builds have read. `private`: nobody changes a file of the tree, but its times may. `clock` as time_ns."""
        self._clock = clock
        self._known = {} if known is None else known
        self._private = private
        self._used: set[Inode] = set()
        self.is_changed = False  # there is more to keep than there was

    def find(self, found: os.stat_result) -> bytes | None:
        inode = (found.st_dev, found.st_ino)
        entry = self._known.get(inode)
        if entry is None or not (self._private or entry[:3] == (found.st_size, found.st_mtime_ns, found.st_ctime_ns)):
            return None
        self._used.add(inode)
        return entry[3]

    def read(self, folder: int, name: str, check: Callable[[], object] = lambda: None) -> FileDigest:
        """Reads the file `name` of `folder` (an fd). Raises FileChanging, OSError, and what `check` raises, called now and then."""
        for _ in range(_TRIES):
            began = self._clock()
            fd = os.open(name, _OPEN, dir_fd=folder)
            try:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    break
                digest = digest_of(fd, found.st_size, check)
                if self._private or _look(os.fstat(fd)) == _look(found):
                    return self._noted(FileDigest(found, digest, self._private or found.st_ctime_ns + RACY < began))
            finally:
                os.close(fd)
        raise FileChanging(errno.EBUSY, "changes while it is read", name)

    def _noted(self, reading: FileDigest) -> FileDigest:
        if reading.is_stable:
            found = reading.found
            inode = (found.st_dev, found.st_ino)
            self._known[inode] = (*_look(found), reading.digest)
            self._used.add(inode)
            self.is_changed = True
        return reading

    def kept(self, most: int) -> Iterator[tuple[Inode, tuple[int, int, int, bytes]]]:
        """What a later build should know, this one's files first, at most `most`."""
        used = ((inode, self._known[inode]) for inode in self._used)
        rest = ((inode, entry) for inode, entry in self._known.items() if inode not in self._used)
        for entries in (used, rest):
            for entry in entries:
                if most <= 0:
                    return
                yield entry
                most -= 1


def _look(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def digest_of(fd: int, size: int, check: Callable[[], object] = lambda: None) -> bytes:
    """sha256 of the whole file, which has about `size` bytes. `check` is called now and then, and may raise."""
    data = os.pread(fd, size + 1, 0) if size < _SMALL else b""
    if data and len(data) == size:
        return sha256(data).digest()
    total, buffer, position = sha256(), memoryview(bytearray(_PIECE)), 0
    while count := os.preadv(fd, [buffer], position):
        check()
        total.update(buffer[:count])
        position += count
    return total.digest()


def side_by_side(work: Callable[[Sequence[tuple[T, int]]], None], files: Sequence[tuple[T, int]]) -> None:
    """`work` on all `files` (which, and its size), in threads where these are worth it. Raises what one of them raised."""
    shares = min(WORKERS, sum(max(size, _OPENING) for _, size in files) // _WORTH, len(files))
    if shares < 2:
        work(files)
        return
    with ThreadPoolExecutor(shares, thread_name_prefix="files") as pool:
        for done in [pool.submit(work, files[n::shares]) for n in range(shares)]:
            done.result()
