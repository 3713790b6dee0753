"""What a handler answers, and how its head is written.

Three kinds: `Response` (whole body in memory), `Stream` (body made while it is sent; the head leaves at once) and `TAKEN`
(the handler has taken the socket over and wrote the head itself).
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import Final, Literal

Fields = Sequence[tuple[str, str]]

NO_BODY: Final = frozenset((204, 304))
"""Statuses whose answers have no body and no length (RFC 9110 15.3.5, 15.4.5); 1xx never pass here."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Fields = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """`body` is closed (`aclose`) when the client goes away; an error in it after the head cuts the connection."""

    body: AsyncIterator[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: Fields = ()


class Taken(Enum):
    TAKEN = "taken"


TAKEN: Final = Taken.TAKEN
"""The answer of a handler that called `Request.hijack`."""

Reply = Response | Stream | Literal[Taken.TAKEN]

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class HeadWriter:
    """Writes status line and header fields; holds what every head has in common and the date, formatted once a second."""

    def __init__(self, common: Fields = ()) -> None:
        """`common` fields are sent with every response."""
        self._common = _encode_fields(common)
        self._second = 0
        self._date = b""

    def encode(self, reply: Response | Stream, *, framing: bytes, close: bool) -> bytes:
        """The whole head with its empty line. `framing` is the encoded field that says where the body ends, if any."""
        status_line = f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Unknown')}\r\n".encode("latin-1")
        parts = [status_line, self._common]
        if reply.content_type:
            parts.append(f"Content-Type: {reply.content_type}\r\n".encode("latin-1"))
        if reply.headers:
            parts.append(_encode_fields(reply.headers))
        parts.append(self._current_date())
        if close:
            parts.append(b"Connection: close\r\n")
        parts.append(framing)
        parts.append(b"\r\n")
        return b"".join(parts)

    def _current_date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        return self._date


def encode_plain_head(status_line: str, headers: Fields) -> bytes:
    """A head with nothing added, for sockets that are taken over: `HTTP/1.1 101 UPGRADED` and its fields."""
    return f"{status_line}\r\n".encode("latin-1") + _encode_fields(headers) + b"\r\n"


def _encode_fields(fields: Fields) -> bytes:
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    if text.count("\r") != len(fields) or text.count("\n") != len(fields):
        raise ValueError(f"a header field has a line break: {text!r}")
    return text.encode("latin-1")
