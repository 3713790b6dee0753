"""One output stream of a process: out of its pipe or terminal into the spool, from there to the log and to every client.

The pipe is read only while no client is more than WINDOW behind: a client that stops reading stops the process in the end, as
with Docker, and loses nothing. When the process has exited the rest (at most what a pipe holds) is taken in whatever the clients
do, so that an exit never waits for them; they read on from the spool.
"""

import errno
import os
from collections.abc import Callable
from typing import Protocol

from corten.monitor.logs.encode import PIECE
from corten.monitor.logs.writer import LogWriter
from corten.monitor.loop import EPOLLIN, Loop
from corten.monitor.stdio.spool import CHUNK, Spool

WINDOW = 1 << 20
"""Bytes a client may be behind before the process has to wait."""

_TURNS = 4
_REOPEN_SECONDS = 0.1


class Reader(Protocol):
    """A client, as its streams see it."""

    def position(self, number: int) -> int:
        """Up to where it has taken stream `number` out of the spool."""

    def feed(self, number: int, begin: int, data: bytes) -> None:
        """`data` has come, at position `begin`."""


class Source:
    """Where the bytes come from: a pipe, or a terminal's master with a pipe of its own (splice(2) wants one on either side).

    Owns its descriptors.
    """

    __slots__ = ("_relay", "fd", "is_terminal")

    def __init__(self, fd: int, relay: tuple[int, int] | None = None) -> None:
        self.fd = fd
        self.is_terminal = relay is not None
        self._relay = relay or (fd, -1)

    def pull(self, spool: Spool) -> int | None:
        """As `Spool.pull`. OSError EIO from a terminal that no process has open now."""
        if not self.is_terminal:
            return spool.pull(self.fd)
        taken = spool.pull(self._relay[0])
        if taken is not None:
            return taken
        try:
            os.splice(self.fd, self._relay[1], CHUNK)
        except BlockingIOError:
            return None
        return spool.pull(self._relay[0])

    def close(self, loop: Loop) -> None:
        loop.close(self.fd)
        if self.is_terminal:
            os.close(self._relay[0])
            os.close(self._relay[1])


class Outflow:
    """Stream `number` (1 stdout, 2 stderr)."""

    def __init__(
        self, loop: Loop, number: int, spool: Spool, *, on_end: Callable[[], None], on_log_error: Callable[[OSError], None]
    ) -> None:
        self.number = number
        self.spool = spool
        self.log: LogWriter | None = None
        self.readers: list[Reader] = []
        self.is_over = False
        self._loop = loop
        self._on_end = on_end
        self._on_log_error = on_log_error
        self._source: Source | None = None
        self._paused = False
        self._process_over = False
        self._log_broken = False

    def begin(self, source: Source) -> None:
        self._source = source
        self._loop.add(source.fd, EPOLLIN, self._readable)

    def join(self, reader: Reader) -> None:
        """It gets everything from the position that it says it has, on."""
        self.readers.append(reader)

    def leave(self, reader: Reader) -> None:
        if reader in self.readers:
            self.readers.remove(reader)
            self.relieve()

    def relieve(self) -> None:
        """A client has taken something: go on reading if that was what was waited for."""
        if self._paused and self._lag() < WINDOW and self._source is not None:
            self._paused = False
            self._loop.add(self._source.fd, EPOLLIN, self._readable)
        self._release()

    def take_in(self) -> None:
        """What a predecessor left between spool and log, before anything new is read."""
        if self.log is not None and self.log.logged(self.number) < self.spool.head:
            self._write_log()

    def finish(self) -> bool:
        """The process is over: take all there is. True if that was the end, False if others still hold the pipe open."""
        self._process_over = True
        while not self.is_over and self._source is not None:
            if not self._pull():
                break
        return self.is_over

    def end(self) -> None:
        """No more is read from here, ended or not."""
        if self.is_over:
            return
        self.is_over = True
        if self.log is not None:
            self._write_log(final=True)
        if self._source is not None:
            self._source.close(self._loop)
            self._source = None
        self._release()
        self._on_end()

    def _readable(self, _: int) -> None:
        for _turn in range(_TURNS):
            if self._source is None or self._paused:
                return
            if self.readers and self._lag() >= WINDOW:
                self._paused = True
                self._loop.remove(self._source.fd)
                return
            if not self._pull():
                return

    def _pull(self) -> bool:
        """Take one chunk and pass it on; False when there is none now, or no more."""
        assert self._source is not None
        begin = self.spool.head
        try:
            count = self._source.pull(self.spool)
        except OSError as e:
            if e.errno != errno.EIO:
                raise
            self._terminal_closed()
            return False
        if count is None:
            return False
        if count == 0:
            self.end()
            return False
        self._pass_on(begin)
        return True

    def _pass_on(self, begin: int) -> None:
        data = self._write_log() if self.log is not None else b""
        if self.readers:
            new = self.spool.head - begin
            fresh = data[len(data) - new :] if len(data) > new else data or self.spool.read(begin, new)
            for reader in list(self.readers):
                reader.feed(self.number, begin, fresh)
        self._release()

    def _write_log(self, *, final: bool = False) -> bytes:
        """Bring the log up to the head; returns what was offered to it, which ends at the head."""
        assert self.log is not None
        begin = self.log.logged(self.number)
        data = self.spool.read(begin, self.spool.head - begin)
        try:
            self.log.write(self.number, data, final=final)
        except OSError as e:
            lost = len(data) - (self.log.logged(self.number) - begin)
            self.log.drop(self.number, lost if final else _whole_lines(data[-lost:]))
            if not self._log_broken:
                self._log_broken = True
                self._on_log_error(e)
        else:
            # A line that only began was not tried: that says nothing about the disk.
            self._log_broken = self._log_broken and self.log.logged(self.number) == begin
        return data

    def _terminal_closed(self) -> None:
        """Nobody has the terminal open. While the process lives it may be opened again, but epoll would report this without end."""
        if self._process_over:
            self.end()
            return
        assert self._source is not None
        self._loop.remove(self._source.fd)
        self._loop.after(_REOPEN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self._source is not None and not self._paused:
            self._loop.remove(self._source.fd)
            self._loop.add(self._source.fd, EPOLLIN, self._readable)

    def _lag(self) -> int:
        return self.spool.head - min((r.position(self.number) for r in self.readers), default=self.spool.head)

    def _release(self) -> None:
        passed = min((r.position(self.number) for r in self.readers), default=self.spool.head)
        if self.log is not None and not self.is_over:
            passed = min(passed, self.log.logged(self.number))
        self.spool.release(passed)


def _whole_lines(lost: bytes) -> int:
    """How much of output that could not be logged is given up now: its last line goes on, and is not to begin in its middle later."""
    whole = lost.rfind(b"\n") + 1
    return whole if whole and len(lost) - whole < PIECE else len(lost)
