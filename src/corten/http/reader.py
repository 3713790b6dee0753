"""Requests out of bytes, without I/O: h11 for the heads, `body` for what follows, one state machine per request.

```
 feed ──► next_request() ──► next_chunk() … b"" ──► restart() ──► next_request() …
              │                   │
              └───── release() ◄──┘   the socket is taken over: what was received and not read
```
The body is parsed when it is asked for and not before, so that `release` also returns what a client sends behind a head
that announced a body which nobody reads (dockerode opens `/session` with `Upgrade` and chunked coding together).
"""

from typing import Final

import h11

from corten.http.body import ChunkedBody, LengthBody, body_of

HEAD_LIMIT: Final = 1024 * 1024
"""Bytes of a request's head, as Go's net/http (DefaultMaxHeaderBytes); registry credentials of many hosts travel in it."""


class RequestReader:
    def __init__(self) -> None:
        self._parser = h11.Connection(h11.SERVER, HEAD_LIMIT)
        self._request: h11.Request | None = None
        self._body: LengthBody | ChunkedBody | None = None  # made when the body is asked for
        self._complete = False

    def feed(self, data: bytes) -> None:
        """Received bytes; b"" is the end of what the client sends."""
        if self._body is not None:
            self._body.feed(data)
        else:
            self._parser.receive_data(data)

    def next_request(self) -> h11.Request | None:
        """The head, or None when more bytes are needed. Raises h11.RemoteProtocolError."""
        event = self._parser.next_event()
        if isinstance(event, h11.Request):
            self._request = event
            return event
        return None

    def next_chunk(self) -> bytes | None:
        """The next piece of the body, b"" at its end, None when more bytes are needed. Raises h11.RemoteProtocolError."""
        if self._complete:
            return b""
        if self._body is None:
            assert self._request is not None
            self._body = body_of(self._request)
            self._body.feed(self._parser.trailing_data[0])
        piece = self._body.next_piece()
        self._complete = piece == b""
        return piece

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been read."""
        return self._complete

    @property
    def expects_continue(self) -> bool:
        """Whether the client holds its body back until it sees `100 Continue` (RFC 9110 10.1.1)."""
        unasked = self._body is None or not (self._body.has_begun or self._complete)
        return unasked and self._parser.they_are_waiting_for_100_continue

    def grant_continue(self) -> bytes:
        """The interim answer that lets the client send its body."""
        return self._parser.send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue")) or b""

    @property
    def has_partial_head(self) -> bool:
        return self._request is None and bool(self._parser.trailing_data[0])

    def release(self) -> bytes:
        """What was fed and not parsed."""
        return self._body.rest if self._body is not None else self._parser.trailing_data[0]

    def restart(self) -> None:
        """Ready for the connection's next request; bytes of it that are here already are kept."""
        rest = self.release()
        self._parser = h11.Connection(h11.SERVER, HEAD_LIMIT)
        self._request = None
        self._body = None
        self._complete = False
        if rest:
            self._parser.receive_data(rest)


def is_persistent(request: h11.Request) -> bool:
    """Whether the connection may carry another request (RFC 9112 9.3). HTTP/1.0 is closed after its answer."""
    if request.http_version < b"1.1":
        return False
    return not any(name == b"connection" and b"close" in value.lower() for name, value in request.headers)
