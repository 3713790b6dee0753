"""Copies bytes both ways between two transports, with backpressure and half-close.

For clients whose stream was taken over and whose socket cannot be given away as it is, because what travels on it is encrypted
(`corten.http.tls`) or framed (`corten.http.websocket`).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

LEAVE_SECONDS: Final = 10.0
"""How long a client may stay after the monitor has ended the stream."""


class End(asyncio.Protocol):
    """Receives on one transport and sends on the other. A Pump joins two of them."""

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] | None = None
        self.source: asyncio.Transport | None = None
        self.peer: End | None = None

    @property
    def own(self) -> asyncio.Transport:
        assert self.source is not None
        return self.source

    @property
    def sink(self) -> asyncio.Transport:
        assert self.peer is not None
        return self.peer.own

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.source = transport

    def data_received(self, data: bytes) -> None:
        self.sink.write(data)

    def eof_received(self) -> bool:
        if not self.sink.is_closing():
            self.sink.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.sink.close()
        assert self.on_lost is not None
        self.on_lost()

    def pause_writing(self) -> None:
        """This transport's buffer is full: stop reading what would fill it."""
        self.sink.pause_reading()

    def resume_writing(self) -> None:
        self.sink.resume_reading()


class InnerEnd(End):
    """Its end of input is the end of the stream: the monitor shuts its socket when all output is out."""

    def eof_received(self) -> bool:
        super().eof_received()
        asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.sink.close)
        return True


class Pump:
    """`outer` faces the client, `inner` the socketpair. Either side's end of input is passed on; either side's loss ends both.

    `on_end` is called once, when both transports are closed.
    """

    def __init__(self, outer: End, inner: InnerEnd, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._open = 2
        self._outer, self._inner = outer, inner
        outer.peer, inner.peer = inner, outer
        outer.on_lost = inner.on_lost = self._lost

    async def start(self, client: asyncio.Transport, *, initial: bytes = b"", eof: bool) -> socket.socket:
        """Takes the client's transport, whose reading is paused; returns the socketpair's far end.

        `initial` are bytes of the client that had come before; `eof`: it has already ended its input.
        """
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        theirs.setblocking(False)
        self._outer.connection_made(client)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._inner, mine)
        client.set_protocol(self._outer)
        client.set_write_buffer_limits()
        if initial:
            self._outer.data_received(initial)
        if client.is_closing():
            self._inner.own.close()
        elif eof:
            self._outer.eof_received()
        else:
            client.resume_reading()
        return theirs

    def _lost(self) -> None:
        self._open -= 1
        if not self._open:
            self._on_end()
