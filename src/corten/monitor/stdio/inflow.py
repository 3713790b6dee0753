"""A process' stdin: takes what clients type, as fast as the process reads."""

import os
from collections.abc import Callable

from corten.monitor.loop import EPOLLOUT, Loop

_FULL = 64 << 10


class Inflow:
    """Owns the write end of the pipe (or a copy of the terminal's master), which may come late: until then it keeps what is typed.

    A process that closed its stdin swallows the rest.
    """

    __slots__ = ("_closed", "_closing", "_fd", "_loop", "_on_room", "_pending", "on_closed")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._fd = -1
        self._pending = bytearray()
        self._closing = False
        self._closed = False
        self._on_room: list[Callable[[], None]] = []
        self.on_closed: Callable[[], None] = _nobody

    def open(self, fd: int) -> None:
        """Where it all goes (non-blocking)."""
        self._fd = fd
        if self._pending:
            self._loop.add(fd, EPOLLOUT, self._writable)
        elif self._closing:
            self.close()

    @property
    def is_full(self) -> bool:
        return len(self._pending) >= _FULL

    def call_on_room(self, callback: Callable[[], None]) -> None:
        """Once, when `is_full` no longer holds."""
        self._on_room.append(callback)

    def write(self, data: bytes) -> None:
        if self._closed or self._closing or not data:
            return
        if self._fd >= 0 and not self._pending:
            sent = self._try(data)
            if sent == len(data) or self._closed:
                return
            data = data[sent:]
            self._loop.add(self._fd, EPOLLOUT, self._writable)
        self._pending += data

    def end(self) -> None:
        """End of file for the process, behind what was written."""
        self._closing = True
        if self._fd >= 0 and not self._pending:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._fd >= 0:
            self._loop.close(self._fd)
            self._fd = -1
        self._pending.clear()
        self._tell_room()
        self.on_closed()

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:  # nobody reads it any more
            self.close()
            return 0

    def _writable(self, _: int) -> None:
        del self._pending[: self._try(self._pending)]
        if self._fd >= 0 and not self._pending:
            self._loop.remove(self._fd)
            if self._closing:
                self.close()
        if not self.is_full:
            self._tell_room()

    def _tell_room(self) -> None:
        waiting, self._on_room = self._on_room, []
        for callback in waiting:
            callback()


def _nobody() -> None:
    pass
