"""SHA-256 of a tar as it comes to be, worked out by a thread beside the one that reads the files.

    headers ─┐
             ├─▶ buffer ─▶ full ─▶ a thread's sha256 ─▶ free ─▶ …
    files ───┘

The buffers are few and used again: one that is new for each read costs a page fault for every 4 KiB, and as much time as the reading.
What fits one buffer is hashed at the end without a thread.
"""

import hashlib
import os
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Final, Self

from isal import isal_zlib

BUFFER: Final = 512 << 10
_BUFFERS: Final = 4

_Filled = tuple[memoryview, int]


class Hashing:
    """Bytes in order; `with` ends its thread. Belongs to one thread."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[_Filled | None] = SimpleQueue()
        self._beside: Thread | None = None
        self._made = 1
        self._buffer = memoryview(bytearray(BUFFER))
        self._at = 0
        self._before = 0
        self._error: MemoryError | None = None

    @property
    def size(self) -> int:
        """How many bytes were given."""
        return self._before + self._at

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._beside is not None:
            self._full.put(None)
            self._beside.join()
            self._beside = None

    def add(self, data: bytes) -> None:
        """A few bytes: headers and padding."""
        at, size = self._at, len(data)
        if at + size > BUFFER:
            for start in range(0, size, BUFFER):
                self._add_some(data[start : start + BUFFER])
            return
        self._buffer[at : at + size] = data
        self._at = at + size

    def read(self, fd: int, size: int) -> int:
        """The next `size` bytes of the file; their CRC-32. Raises OSError, also when the file has fewer."""
        crc = 0
        while size:
            if self._at == BUFFER:
                self._pass_on()
            at = self._at
            piece = self._buffer[at : at + size]
            count = os.readv(fd, (piece,))
            if not count:
                raise OSError(5, "the file became shorter while its layer was made")
            crc = isal_zlib.crc32(piece if count == len(piece) else piece[:count], crc)
            self._at = at + count
            size -= count
        return crc

    def hexdigest(self) -> str:
        """Of everything so far; nothing can be added afterwards."""
        if self._beside is None:
            self._hash.update(self._buffer[: self._at])
        else:
            self._pass_on()
            self.__exit__(None, None, None)
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()

    def _add_some(self, data: bytes) -> None:
        room = min(BUFFER - self._at, len(data))
        self._buffer[self._at : self._at + room] = data[:room]
        self._at += room
        if room < len(data):
            self._pass_on()
            self.add(data[room:])

    def _pass_on(self) -> None:
        """The buffer goes to the thread; another one is there. Waits for one when the thread is behind."""
        if self._beside is None:
            self._beside = Thread(target=self._work, name="corten-seal", daemon=True)
            self._beside.start()
        self._full.put((self._buffer, self._at))
        self._before += self._at
        self._at = 0
        if self._made < _BUFFERS and self._free.empty():
            self._made += 1
            self._buffer = memoryview(bytearray(BUFFER))
        else:
            self._buffer = self._free.get()

    def _work(self) -> None:
        while (filled := self._full.get()) is not None:
            buffer, size = filled
            try:
                self._hash.update(buffer[:size])
            except MemoryError as error:
                self._error = error
            finally:
                self._free.put(buffer)
