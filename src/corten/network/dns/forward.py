"""Questions that are not about containers, passed on to the servers of the host or of `--dns`, one server after another."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence

from corten.network.dns.answers import answers_to, is_server_failure, parse_server, with_new_id

_TIMEOUT = 4.0
_SERVERS = 3
_LARGEST = 65535

OpenSocket = Callable[[int, int], Awaitable[socket.socket]]
"""Makes a socket of this family and kind in the namespace from which the servers are asked."""


async def open_here(family: int, kind: int) -> socket.socket:
    """In the daemon's own namespace: the host's servers, also those on its loopback."""
    return socket.socket(family, kind | socket.SOCK_CLOEXEC)


class Forwarder:
    """Asks up to three servers. At most `limit` questions wait at a time; the next ones are refused at once."""

    def __init__(self, servers: Sequence[str], open_socket: OpenSocket = open_here, *, limit: int = 1024) -> None:
        self._servers = [parse_server(server) for server in servers[:_SERVERS]]
        self._open = open_socket
        self._limit = limit
        self._waiting = 0

    async def ask(self, query: bytes, *, tcp: bool = False) -> bytes | None:
        """The reply under the query's own id, or None when no server has answered well; then the last bad answer, if any."""
        if self._waiting >= self._limit:
            return None
        self._waiting += 1
        try:
            return await self._ask(query, tcp=tcp)
        finally:
            self._waiting -= 1

    async def _ask(self, query: bytes, *, tcp: bool) -> bytes | None:
        bad: bytes | None = None
        for server in self._servers:
            asked, _ = with_new_id(query)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    reply = await (self._stream(server, asked) if tcp else self._datagram(server, asked))
            except (OSError, TimeoutError, EOFError):
                continue
            restored = query[:2] + reply[2:]
            if not is_server_failure(reply):
                return restored
            bad = restored
        return bad

    async def _datagram(self, server: tuple[str, int], query: bytes) -> bytes:
        """A fresh socket, so a random port, for each question: an answer is hard to forge."""
        loop = asyncio.get_running_loop()
        with await self._open(_family(server), socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(server)
            await loop.sock_sendall(sock, query)
            while True:
                reply = await loop.sock_recv(sock, _LARGEST)
                if answers_to(query, reply):
                    return reply

    async def _stream(self, server: tuple[str, int], query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        with await self._open(_family(server), socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, server)
            await loop.sock_sendall(sock, struct.pack("!H", len(query)) + query)
            (length,) = struct.unpack("!H", await _exactly(sock, 2))
            reply = await _exactly(sock, length)
        if not answers_to(query, reply):
            raise EOFError("an answer to another question")
        return reply


def _family(server: tuple[str, int]) -> int:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        part = await loop.sock_recv(sock, count - len(data))
        if not part:
            raise EOFError("the server closed the connection")
        data += part
    return data
