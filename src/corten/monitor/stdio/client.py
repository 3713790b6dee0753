"""One attached client: streams out to its socket, what it types in to the process.

Owned by its socket's events: it lives until everything has been sent and the process is over, until it detaches, or until the
other end goes. It reads late output from the spools, so a slow one costs 64 KiB of memory here.
"""

import socket
from collections.abc import Iterator
from typing import Protocol

from corten.monitor.loop import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, Loop
from corten.monitor.stdio.closing import drain, hang_up
from corten.monitor.stdio.frames import frame_header
from corten.monitor.stdio.inflow import Inflow
from corten.monitor.stdio.keys import DetachScanner
from corten.monitor.stdio.outflow import Outflow

_PIECE = 64 << 10
_INPUT = 32 << 10
_TURNS = 16
_LINGER_SECONDS = 5.0


class Host(Protocol):
    """The streams a client belongs to."""

    def client_input_ended(self) -> None:
        """It half-closed or went away, and had stdin."""

    def client_detached(self) -> None:
        """It typed the detach keys."""

    def client_gone(self, client: "Client") -> None:
        """It is closed; forget it."""


class Client:
    """Owns `sock` (non-blocking)."""

    def __init__(self, loop: Loop, sock: socket.socket, host: Host, *, framed: bool) -> None:
        self._loop = loop
        self._sock = sock
        self._host = host
        self._framed = framed
        self._outflows: dict[int, Outflow] = {}
        self._positions: dict[int, int] = {}
        self._replay: Iterator[bytes] | None = None
        self._pending = memoryview(b"")
        self._inflow: Inflow | None = None
        self._scanner = DetachScanner(b"")
        self._mask = 0
        self._blocked = False
        self._finishing = False
        self._gone = False
        self._closed = False
        loop.add(sock.fileno(), 0, self._event)

    @property
    def is_live(self) -> bool:
        """Something may still be sent to it or come from it."""
        return not self._gone

    # Setting up

    def take_output(self, outflow: Outflow, position: int) -> None:
        """Send it this stream from `position` on."""
        self._outflows[outflow.number] = outflow
        self._positions[outflow.number] = position
        outflow.spool.share()
        if not outflow.is_over:
            outflow.join(self)

    def take_input(self, inflow: Inflow, detach_keys: bytes, initial: bytes) -> None:
        """Pass on what it types, but the detach keys (b"": none)."""
        self._inflow = inflow
        self._scanner = DetachScanner(detach_keys)
        self._update()
        if initial:
            self._typed(initial)

    def begin(self, replay: Iterator[bytes] | None, *, finishing: bool) -> None:
        """Start sending: first `replay`, then the streams. `finishing`: end when that is through, for nothing more will come."""
        self._replay = replay
        self._finishing = finishing
        self._pump()

    # As a stream's reader

    def position(self, number: int) -> int:
        return self._positions[number]

    def feed(self, number: int, begin: int, data: bytes) -> None:
        if self._pending or self._replay is not None or self._positions[number] != begin:
            return  # it is behind and reads from the spool
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE] if len(data) > _PIECE else data
            self._positions[number] = begin + at + len(piece)
            self._send(number, piece)
            if self._pending or self._gone:
                self._update()
                return

    def finish(self) -> None:
        """End its stream once all is sent."""
        self._finishing = True
        self._pump()

    def close(self) -> None:
        """Now, whatever is unsent."""
        if self._closed:
            return
        self._closed = True
        self._leave_streams()
        fd = self._sock.detach()
        self._loop.close(fd)
        self._host.client_gone(self)

    # Out

    def _pump(self) -> None:
        for _ in range(_TURNS):
            if self._pending or self._gone or not self._send_next():
                break
        if self._gone:
            return
        for outflow in self._outflows.values():
            outflow.relieve()
        if self._finishing and not self._lacks_something():
            self._part()
        else:
            self._update()

    def _lacks_something(self) -> bool:
        if self._pending or self._replay is not None:
            return True
        return any(self._positions[number] < outflow.spool.head for number, outflow in self._outflows.items())

    def _send_next(self) -> bool:
        """Send a piece of what it lacks; False when it has all there is."""
        if self._replay is not None:
            data = next(self._replay, None)
            if data is None:
                self._replay = None
            elif data:
                self._put(data)
            return True
        for number, outflow in self._outflows.items():
            at = self._positions[number]
            if at < outflow.spool.head:
                piece = outflow.spool.read(at, _PIECE)
                self._positions[number] = at + len(piece)
                self._send(number, piece)
                return True
        return False

    def _send(self, number: int, piece: bytes) -> None:
        if not self._framed:
            self._put(piece)
            return
        header = frame_header(number, len(piece))
        try:
            sent = self._sock.sendmsg([header, piece])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost()
            return
        if sent < len(header):
            self._pending = memoryview(header[sent:] + piece)
        elif sent < len(header) + len(piece):
            self._pending = memoryview(piece)[sent - len(header) :]

    def _put(self, data: bytes | memoryview) -> None:
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost()
            return
        self._pending = memoryview(data)[sent:]

    # In

    def _event(self, mask: int) -> None:
        if mask & EPOLLIN and not self._gone:
            self._readable()
        if mask & EPOLLOUT and not self._gone:
            pending, self._pending = self._pending, memoryview(b"")
            if pending:
                self._put(pending)
            self._pump()
        if mask & (EPOLLHUP | EPOLLERR) and not self._gone:
            self._lost()

    def _readable(self) -> None:
        if self._inflow is None:
            return
        try:
            data = self._sock.recv(_INPUT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._typed(data)
        else:
            self._input_over()

    def _typed(self, data: bytes) -> None:
        inflow = self._inflow
        assert inflow is not None
        passed, detached = self._scanner.feed(data)
        inflow.write(passed)
        if detached:
            self._inflow = None
            self._host.client_detached()
            self._part()
        elif inflow.is_full:
            self._blocked = True
            inflow.call_on_room(self._unblock)
            self._update()

    def _unblock(self) -> None:
        self._blocked = False
        if self._gone:
            self._drain_input()
        else:
            self._update()

    def _input_over(self) -> None:
        if self._inflow is not None:
            self._inflow = None
            self._host.client_input_ended()
            self._update()

    # The end

    def _lost(self) -> None:
        """The other end is gone: no more output for it, but what it had typed before still counts."""
        self._gone = True
        self._pending = memoryview(b"")
        self._leave_streams()
        self._loop.remove(self._sock.fileno())
        self._drain_input()

    def _drain_input(self) -> None:
        while self._inflow is not None:
            self._readable()
            if self._blocked:
                return
        self.close()

    def _part(self) -> None:
        """Shut its stream in such a way that it reads to the end; TCP wants some patience for that."""
        self._gone = True
        self._inflow = None
        self._leave_streams()
        if hang_up(self._sock):
            self.close()
            return
        self._loop.remove(self._sock.fileno())
        self._loop.add(self._sock.fileno(), EPOLLIN, self._linger)
        self._loop.after(_LINGER_SECONDS, self.close)

    def _linger(self, _: int) -> None:
        if drain(self._sock):
            self.close()

    def _leave_streams(self) -> None:
        self._replay = None
        for outflow in self._outflows.values():
            outflow.leave(self)
            outflow.spool.close()
        self._outflows = {}

    def _update(self) -> None:
        """Ask epoll for what matters now."""
        reading = self._inflow is not None and not self._blocked
        mask = (EPOLLIN if reading else 0) | (EPOLLOUT if self._lacks_something() else 0)
        if mask != self._mask and not self._gone:
            self._mask = mask
            self._loop.change(self._sock.fileno(), mask)
