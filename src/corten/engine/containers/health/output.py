"""What a probe prints, read from its stream as it comes."""

import asyncio
import socket
from typing import Final

OUTPUT_BYTES: Final = 4096
"""What is kept of a probe's output."""


class ProbeOutput:
    """Reads a stream to its end and keeps the beginning. The socket stays the caller's."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._kept = bytearray()
        self._cut = False
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()
        self._loop.add_reader(sock.fileno(), self._read)

    def text(self) -> str:
        return self._kept.decode(errors="replace") + ("..." if self._cut else "")

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._sock.fileno())
        if not self.ended.done():
            self.ended.set_result(None)

    def _read(self) -> None:
        try:
            piece = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            piece = b""
        room = OUTPUT_BYTES - len(self._kept)
        self._kept += piece[:room]
        self._cut = self._cut or len(piece) > room
        if not piece:
            self.close()
