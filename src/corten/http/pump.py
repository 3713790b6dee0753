"""Copies bytes both ways between two transports, with backpressure and half-close: for TLS clients whose stream was taken over."""

import asyncio
from collections.abc import Callable
from typing import Final

LEAVE_SECONDS: Final = 10.0
"""How long a client may stay after the monitor has ended the stream."""


class _End(asyncio.Protocol):
    """Receives on one transport and sends on the other."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self.source: asyncio.Transport | None = None
        self.peer: _End | None = None

    @property
    def sink(self) -> asyncio.Transport:
        assert self.peer is not None
        assert self.peer.source is not None
        return self.peer.source

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
        self._on_lost()

    def pause_writing(self) -> None:
        """This transport's buffer is full: stop reading what would fill it."""
        self.sink.pause_reading()

    def resume_writing(self) -> None:
        self.sink.resume_reading()


class _InnerEnd(_End):
    """Its end of input is the end of the stream: the monitor shuts its socket when all output is out."""

    def eof_received(self) -> bool:
        super().eof_received()
        asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.sink.close)
        return True


class Pump:
    """`outer` faces the client, `inner` the socketpair. Either side's end of input is passed on; either side's loss ends both.

    `on_end` is called once, when both transports are closed.
    """

    def __init__(self, client: asyncio.Transport, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._open = 2
        self.outer, self.inner = _End(self._lost), _InnerEnd(self._lost)
        self.outer.peer, self.inner.peer = self.inner, self.outer
        self.outer.source = client

    def start(self, *, eof: bool) -> None:
        """`eof`: the client has already ended its input."""
        if eof:
            self.outer.eof_received()
        else:
            assert self.outer.source is not None
            self.outer.source.resume_reading()

    def _lost(self) -> None:
        self._open -= 1
        if not self._open:
            self._on_end()
