"""One request as a handler sees it: the head as values, the body on demand, and the way to take the socket over."""

import asyncio
import fcntl
import socket
import termios
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from corten.errors import Invalid
from corten.http.message import Headers, find_redirect, parse_query, split_target
from corten.http.response import Fields, encode_plain_head

if TYPE_CHECKING:
    from corten.http.websocket import Opcode

BODY_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of body that `Request.body` collects unless told otherwise. Archives come through `stream`."""
BUFFERING_CLIENT: Final = "docker-sdk-python/"
"""docker-py reads the head of an answer through a buffer and what follows past it: output that has come by then is lost to it."""


class ClientGone(ConnectionError):
    """The client closed the connection in the middle of its request or of the answer."""


@dataclass(slots=True)
class Hijacked:
    """A client's socket, taken over, with the bytes that arrived before it was.

    `sock` is a duplicate, non-blocking, owned by whoever holds this value: leave the `with` block to close it.
    For a TLS client and a WebSocket it is one end of a socketpair whose other end is pumped to the client.
    """

    sock: socket.socket
    initial: bytes

    def fileno(self) -> int:
        return self.sock.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.sock.close()


class Peer(NamedTuple):
    """The process that opened a unix socket's other end, as the kernel knew it then; 0 for one of a PID namespace that is not seen."""

    pid: int
    uid: int
    gid: int


class Channel(Protocol):
    """The connection a request came in on."""

    @property
    def peer(self) -> "Peer | None": ...

    async def read_chunk(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises ClientGone."""
        ...

    async def take_over(self, head: bytes) -> Hijacked:
        """Writes `head`, waits until it has left, and gives the socket up."""
        ...

    async def take_over_websocket(self, head: bytes, opcode: "Opcode") -> Hijacked:
        """As `take_over`; what the socket carries is the payload of frames, which are sent with `opcode`."""
        ...


class Request:
    """`path` is decoded, `query` maps names to lists of values."""

    __slots__ = ("_channel", "_query", "headers", "method", "path", "query_string")

    def __init__(self, method: str, target: str, headers: Headers, channel: Channel) -> None:
        self.method = method
        self.path, self.query_string = split_target(target)
        self.headers = headers
        self._channel = channel
        self._query: Mapping[str, list[str]] | None = None

    @property
    def peer(self) -> Peer | None:
        """None on TCP."""
        return self._channel.peer

    @property
    def query(self) -> Mapping[str, list[str]]:
        if self._query is None:
            self._query = parse_query(self.query_string)
        return self._query

    @property
    def redirect(self) -> str | None:
        """The clean form of an unclean path."""
        return find_redirect(self.path, self.query_string)

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body. Raises Invalid (`body-too-large`) beyond `limit` bytes, ClientGone when it never completes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self._channel.read_chunk():
            size += len(piece)
            if size > limit:
                raise Invalid(f"request body is larger than {limit} bytes", reason="body-too-large")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece; the client is slowed to the reader's pace."""
        while piece := await self._channel.read_chunk():
            yield piece

    async def take_socket(self) -> Hijacked:
        """Takes the socket over with nothing answered yet: whoever gets it writes the head. Then answer TAKEN."""
        return await self._channel.take_over(b"")

    async def hijack(self, status_line: str, headers: Fields) -> Hijacked:
        """Answers with that head, flushed before this returns, and takes the socket over. Then answer TAKEN."""
        taken = await self._channel.take_over(encode_plain_head(status_line, headers))
        if self.headers.get("user-agent").startswith(BUFFERING_CLIENT):
            await _head_is_read(taken.sock)
        return taken

    async def hijack_websocket(self, fields: Fields, opcode: "Opcode") -> Hijacked:
        """Answers 101 with `fields` (of `websocket.accept_handshake`); a pump puts into frames what the socket carries."""
        return await self._channel.take_over_websocket(encode_plain_head("HTTP/1.1 101 Switching Protocols", fields), opcode)


async def _head_is_read(sock: socket.socket) -> None:
    """Returns when the peer of a unix socket has read all that it was sent, or does not for a second."""
    if sock.family != socket.AF_UNIX:
        return
    for pause in (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3):
        await asyncio.sleep(pause)
        if not any(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))):
            return
