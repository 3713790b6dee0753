"""A blob while it arrives: a sparse file and a map of the parts that are there.

Both survive a killed process: a part is marked only after its bytes were written. What lies in the file is a claim until somebody
has hashed it (after a power loss a marked part can be wrong): the reader verifies the digest and calls `discard` when it fails.

    partials/<hex>       the bytes, at their offsets
    partials/<hex>.map   one byte a part of PART bytes: 1 = written
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from corten.errors import Unavailable
from corten.ids import Digest

PART = 1 << 20
Span = tuple[int, int]


class Partial:
    """Bytes of one blob of known size. Writers call `write` from many threads; one reader follows with `read_at`. Close it."""

    def __init__(self, folder: Path, digest: Digest, size: int) -> None:
        self.digest = digest
        self.size = size
        self.path = folder / digest.rpartition(":")[2]
        self._map_path = self.path.with_suffix(".map")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = max(1, -(-size // PART))
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._map_fd = os.open(self._map_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._written = self._load_map()
        self._filled: dict[int, int] = {}  # part -> bytes written since its start, in order
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._users = 0  # threads that are using the descriptors now

    def close(self) -> None:
        """Idempotent. Whoever still writes gets Unavailable."""
        with self._changed:
            fds, self._fd, self._map_fd = (self._fd, self._map_fd), -1, -1
            while self._users:
                self._changed.wait()
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def missing(self) -> list[Span]:
        """Byte ranges [start, end) still to fetch, in order, merged."""
        spans: list[Span] = []
        for part in range(self._parts):
            if self._written[part]:
                continue
            start, end = part * PART, min((part + 1) * PART, self.size)
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            elif end > start:
                spans.append((start, end))
        return spans

    def present(self) -> int:
        """Bytes that are there."""
        return self.size - sum(end - start for start, end in self.missing())

    def write(self, offset: int, data: bytes) -> None:
        """Stores bytes; a part counts once its bytes were written from its start to its end in order."""
        with self._using() as (fd, map_fd):
            view = memoryview(data)
            position = offset
            while view:
                written = os.pwrite(fd, view, position)
                view = view[written:]
                position += written
            self._mark(map_fd, offset, position)

    def fail(self, error: BaseException) -> None:
        """No more bytes will come: readers raise `error`."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def read_at(self, offset: int, limit: int, *, cancelled: Callable[[], bool] = lambda: False) -> bytes:
        """Up to `limit` bytes from `offset`, waiting for them; b"" at the end. Raises what `fail` was told."""
        if offset >= self.size:
            return b""
        part = offset // PART
        with self._changed:
            while not self._written[part]:
                if self._failure:
                    raise self._failure
                if cancelled():
                    raise Unavailable("the download was given up", reason="cancelled")
                self._changed.wait(0.5)
        end = min(offset + limit, self._run_end(part), self.size)
        with self._using() as (fd, _):
            return os.pread(fd, end - offset, offset)

    def discard(self) -> None:
        """Forgets everything; the files are gone."""
        self.close()
        _remove(self.path)

    @contextlib.contextmanager
    def _using(self) -> Iterator[tuple[int, int]]:
        with self._changed:
            if self._fd < 0:
                raise Unavailable("the download was given up", reason="cancelled")
            self._users += 1
            fds = self._fd, self._map_fd
        try:
            yield fds
        finally:
            with self._changed:
                self._users -= 1
                if not self._users:
                    self._changed.notify_all()

    def _run_end(self, part: int) -> int:
        last = part
        while last + 1 < self._parts and self._written[last + 1] and last - part < 8:
            last += 1
        return (last + 1) * PART

    def _load_map(self) -> bytearray:
        raw = os.pread(self._map_fd, self._parts, 0)
        if len(raw) != self._parts or os.fstat(self._fd).st_size != self.size:
            os.ftruncate(self._map_fd, 0)
            os.ftruncate(self._map_fd, self._parts)
            os.ftruncate(self._fd, self.size)
            return bytearray(self._parts)
        return bytearray(raw)

    def _mark(self, map_fd: int, start: int, end: int) -> None:
        finished = []
        with self._changed:
            for part in range(start // PART, (end - 1) // PART + 1):
                low, high = part * PART, min((part + 1) * PART, self.size)
                reached = self._filled.get(part, 0)
                if low + reached < max(start, low):
                    continue  # a hole before these bytes: the part will be written again
                reached = max(reached, min(end, high) - low)
                self._filled[part] = reached
                if reached == high - low and not self._written[part]:
                    os.pwrite(map_fd, b"\x01", part)
                    self._written[part] = 1
                    self._filled.pop(part)
                    finished.append(part)
            if finished:
                self._changed.notify_all()


class Partials:
    """The folder of partial blobs: what lies there when nobody is fetching."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bytes_of(self, digest: Digest) -> int:
        """What is there of a blob, in bytes of whole parts; 0 when nothing is."""
        try:
            return PART * self._path(digest).with_suffix(".map").read_bytes().count(1)
        except FileNotFoundError:
            return 0

    def forget(self, digest: Digest) -> None:
        _remove(self._path(digest))

    def size_older(self, seconds: float, *, spare: Collection[Digest] = ()) -> int:
        """Bytes on the disk that nobody went on with for so long."""
        return sum(size for _, size in self._older(seconds, spare))

    def forget_older(self, seconds: float, *, spare: Collection[Digest] = ()) -> int:
        """Removes what nobody went on with for so long; how many bytes that gave back."""
        freed = 0
        for path, size in self._older(seconds, spare):
            freed += size
            _remove(path)
        return freed

    def _older(self, seconds: float, spare: Collection[Digest]) -> Iterator[tuple[Path, int]]:
        spared = {self._path(digest).name for digest in spare}
        for path in self._folder.glob("*.map"):
            with contextlib.suppress(FileNotFoundError):
                found = path.with_suffix("").stat()
                if path.stem not in spared and time.time() - found.st_mtime >= seconds:
                    yield path.with_suffix(""), found.st_blocks * 512

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.rpartition(":")[2]


def _remove(path: Path) -> None:
    """The bytes first: a map without bytes starts anew, bytes without a map would stay for good."""
    for one in (path, path.with_suffix(".map")):
        one.unlink(missing_ok=True)
