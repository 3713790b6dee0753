"""A request's body out of received bytes: the chunked coding (RFC 9112 7.1) and plain lengths, without I/O.

h11 parses heads; bodies go through here because archives of gigabytes arrive in chunks of 32 KiB: h11 takes 1.0 CPU second per GB of
them, this 0.27, most of it the one copy (all that was received becomes one piece).
"""

from typing import Final

import h11

_SIZE_LIMIT: Final = 16  # hex digits: 2**64 bytes
_LINE_LIMIT: Final = 16 * 1024
_HEX: Final = b"0123456789abcdefABCDEF"


class LengthBody:
    """`Content-Length: n`."""

    def __init__(self, length: int) -> None:
        self._left = length
        self._data = b""
        self.has_begun = False

    @property
    def rest(self) -> bytes:
        """What was fed and not given out."""
        return self._data

    def feed(self, data: bytes) -> None:
        self.has_begun = self.has_begun or bool(data)
        self._data = self._data + data if self._data else data

    def next_piece(self) -> bytes | None:
        """b"" at the end, None when more bytes are needed."""
        if not self._left:
            return b""
        if not self._data:
            return None
        piece = self._data if len(self._data) <= self._left else self._data[: self._left]
        self._data = self._data[len(piece) :]
        self._left -= len(piece)
        return piece


class ChunkedBody:
    """`Transfer-Encoding: chunked`. Trailers are passed over."""

    def __init__(self) -> None:
        self._data = b""
        self.has_begun = False
        self._left = 0  # of the current chunk
        self._after_chunk = False  # its line end is still to come
        self._in_trailer = False
        self._done = False

    @property
    def rest(self) -> bytes:
        return self._data

    def feed(self, data: bytes) -> None:
        self.has_begun = self.has_begun or bool(data)
        self._data = self._data + data if self._data else data

    def next_piece(self) -> bytes | None:
        """All of the body that is here, as one piece; b"" at the end, None when more bytes are needed. Raises h11.RemoteProtocolError."""
        pieces: list[memoryview] = []
        view = memoryview(self._data)
        at = 0
        while not self._done:
            if self._left:
                piece = view[at : at + self._left]
                if not piece:
                    break
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._after_chunk = not self._left
                continue
            end = self._data.find(b"\r\n", at)
            if end < 0:
                if len(view) - at > _LINE_LIMIT:
                    raise h11.RemoteProtocolError("chunk header too long")
                break
            self._take_line(self._data[at:end])
            at = end + 2
        self._data = self._data[at:]
        if pieces:
            return b"".join(pieces)
        return b"" if self._done else None

    def _take_line(self, line: bytes) -> None:
        if self._after_chunk:
            if line:
                raise h11.RemoteProtocolError("chunk longer than its size")
            self._after_chunk = False
        elif self._in_trailer:
            self._done = not line
        else:
            self._left = _chunk_size(line)
            self._in_trailer = not self._left


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > _SIZE_LIMIT or digits.strip(_HEX):
        raise h11.RemoteProtocolError("illegal chunk header")
    return int(digits, 16)


def body_of(request: h11.Request) -> LengthBody | ChunkedBody:
    """The decoder that the head asks for; h11 has checked that it asks for one thing."""
    lengths = 0
    for name, value in request.headers:
        if name == b"transfer-encoding":
            return ChunkedBody()
        if name == b"content-length":
            lengths = int(value)
    return LengthBody(lengths)
