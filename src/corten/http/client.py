"""A small blocking HTTP/1.1 client for an engine's API, on unix sockets, tcp and TLS. No asyncio, no h11: the CLI starts with it.

It trusts its server: an engine, not the web. It speaks what the API needs: lengths and chunks both ways, answers that stream,
upgrades to a raw socket. `_socket` instead of `socket` saves 3 ms of the CLI's 25 at start-up (enum, selectors).

```
with Client(parse_address("unix:///run/corten/corten.sock")) as client:
    client.request("GET", "/v1.51/containers/json").json()
    for event in client.request("GET", "/v1.51/events").json_lines(): ...
    with client.upgrade("POST", "/v1.51/containers/x/attach?stream=1&stdout=1") as raw: raw.recv(65536)
```
"""

import json
from _socket import AF_UNIX, IPPROTO_TCP, SHUT_WR, SOCK_STREAM, TCP_NODELAY, getaddrinfo
from _socket import socket as Socket
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from corten.errors import Denied, Unavailable
from corten.http.address import Address, TlsFiles

Fields = Sequence[tuple[str, str]]

READ_SIZE: Final = 256 * 1024
HEAD_LIMIT: Final = 1024 * 1024


class ProtocolError(ConnectionError):
    """The server said something that is not HTTP, or stopped in the middle of an answer."""


class Wire:
    """A connected socket with what was received and not yet read."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.buffer = bytearray()

    def fill(self) -> bool:
        """Receives more; False at the end."""
        data = self.sock.recv(READ_SIZE)
        self.buffer += data
        return bool(data)

    def take(self, size: int) -> bytes:
        """At most `size` bytes, receiving when there are none; b"" at the end."""
        if not self.buffer:
            return self.sock.recv(min(size, READ_SIZE))
        piece = bytes(self.buffer[:size])
        del self.buffer[:size]
        return piece

    def take_line(self) -> bytes:
        """One line without its end. Raises ProtocolError."""
        start = 0
        while (end := self.buffer.find(b"\n", start)) < 0:
            start = len(self.buffer)
            if start > HEAD_LIMIT or not self.fill():
                raise ProtocolError("the engine closed the connection in the middle of an answer")
        line = bytes(self.buffer[:end]).rstrip(b"\r")
        del self.buffer[: end + 1]
        return line


class Answer:
    """A response whose head has arrived. Its body is read once, by one of `read`, `json`, `pieces`, `lines`, `json_lines`.

    `headers` has lower-case names. Read to its end (or `close`) before the next request, or that opens another connection.
    """

    def __init__(self, wire: Wire, status: int, headers: dict[str, str], *, headless: bool, idle: list[Wire]) -> None:
        self.status = status
        self.headers = headers
        self._wire = wire
        self._idle = idle
        self._finished = False
        self._body = iter(()) if headless else self._frames()
        if headless:
            self._finish()

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        return self._body

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self._body)

    def json(self) -> Any:
        return json.loads(self.read() or b"null")

    def lines(self) -> Iterator[bytes]:
        """The body's lines, without their ends, each as soon as it is complete."""
        rest = b""
        for piece in self._body:
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def json_lines(self) -> Iterator[Any]:
        """The values of a stream of JSON lines (events, pull progress)."""
        return (json.loads(line) for line in self.lines() if line.strip())

    def close(self) -> None:
        """Gives up the rest of the body, and the connection with it."""
        if not self._finished:
            self._finished = True
            self._wire.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _frames(self) -> Iterator[bytes]:
        try:
            yield from self._framed()
        except OSError:
            self.close()
            raise

    def _framed(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            yield from self._chunks()
        elif "content-length" in self.headers:
            yield from self._counted(int(self.headers["content-length"]))
        else:
            while piece := self._wire.take(READ_SIZE):
                yield piece
            self.close()
            return
        self._finish()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._wire.take_line().partition(b";")[0], 16):
            yield from self._counted(size)
            self._wire.take_line()
        while self._wire.take_line():
            pass

    def _counted(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._wire.take(size)
            if not piece:
                raise ProtocolError("the engine closed the connection in the middle of an answer")
            size -= len(piece)
            yield piece

    def _finish(self) -> None:
        self._finished = True
        if self.headers.get("connection", "").lower() == "close":
            self._wire.sock.close()
        else:
            self._idle.append(self._wire)


class Upgraded:
    """A raw socket behind a `101` or `200` head. For TLS it is one end of a socketpair that a thread pumps."""

    def __init__(self, wire: Wire, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self._wire = wire

    @property
    def is_multiplexed(self) -> bool:
        """Whether what arrives is in 8-byte frames (see `corten.http.frames`); before API 1.42 the answer does not tell."""
        return self.headers.get("content-type") == "application/vnd.docker.multiplexed-stream"

    def fileno(self) -> int:
        """For select. What `has_buffered` says is there comes before what select sees."""
        return self._wire.sock.fileno()

    @property
    def has_buffered(self) -> bool:
        return bool(self._wire.buffer)

    def recv(self, size: int = READ_SIZE) -> bytes:
        """b"" at the end."""
        return self._wire.take(size)

    def send(self, data: bytes) -> None:
        self._wire.sock.sendall(data)

    def half_close(self) -> None:
        """No more input; output goes on."""
        try:
            self._wire.sock.shutdown(SHUT_WR)
        except OSError:  # the other side has already closed: nobody is left to be told
            pass

    def close(self) -> None:
        self._wire.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Client:
    """Calls one engine. Not for several threads at once: give each its own."""

    def __init__(self, address: Address, *, tls: TlsFiles | None = None, headers: Fields = (), timeout: float | None = None) -> None:
        """`headers` go with every request. `timeout` (seconds) bounds connecting and each receive; None waits for ever."""
        self.address = address
        self._tls = tls
        self._common = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._timeout = timeout
        self._idle: list[Wire] = []

    def request(self, method: str, target: str, *, headers: Fields = (), body: bytes | Iterable[bytes] | None = None) -> Answer:
        """Sends a request and returns when the answer's head is here. A body of pieces is sent in chunks as they come.

        Raises Unavailable (`cannot-connect`) when nobody listens, Denied when the socket may not be opened, OSError later.
        """
        wire, status, fields = self._exchange(method, target, headers, body)
        return Answer(wire, status, fields, headless=method == "HEAD" or status in (204, 304), idle=self._idle)

    def upgrade(
        self, method: str, target: str, *, headers: Fields = (), body: bytes | None = None, protocol: str = "tcp"
    ) -> Upgraded | Answer:
        """As `request`, asking for the raw socket. An error status comes back as an Answer."""
        asked = (("Connection", "Upgrade"), ("Upgrade", protocol), *headers)
        wire, status, fields = self._exchange(method, target, asked, body)
        if status == 101:
            return Upgraded(wire, status, fields)
        return Answer(wire, status, fields, headless=False, idle=self._idle)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _exchange(
        self, method: str, target: str, headers: Fields, body: bytes | Iterable[bytes] | None
    ) -> tuple[Wire, int, dict[str, str]]:
        """A kept connection that turns out to be closed is replaced once, unless a body of pieces has been used up."""
        while True:
            kept = bool(self._idle)
            wire = self._idle.pop() if kept else Wire(_connect(self.address, self._tls, self._timeout))
            try:
                self._send(wire, method, target, headers, body)
                return wire, *_read_head(wire)
            except ConnectionError:
                wire.sock.close()
                if not kept or wire.buffer or not (body is None or isinstance(body, bytes)):
                    raise
            except BaseException:
                wire.sock.close()
                raise

    def _send(self, wire: Wire, method: str, target: str, headers: Fields, body: bytes | Iterable[bytes] | None) -> None:
        lines = [f"{method} {target} HTTP/1.1\r\nHost: {self.address.host or 'corten'}\r\n", self._common]
        lines.extend(f"{name}: {value}\r\n" for name, value in headers)
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}\r\n")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked\r\n")
        elif method in ("POST", "PUT"):
            lines.append("Content-Length: 0\r\n")
        head = ("".join(lines) + "\r\n").encode("latin-1")
        if body is None or isinstance(body, bytes):
            wire.sock.sendall(head + (body or b""))
            return
        wire.sock.sendall(head)
        try:
            for piece in body:
                if piece:
                    wire.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            wire.sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the engine answered before it had read everything: the answer says why


def _read_head(wire: Wire) -> tuple[int, dict[str, str]]:
    while True:
        line = wire.take_line().decode("latin-1")
        if not line.startswith("HTTP/1."):
            raise ProtocolError(f"not an HTTP answer: {line[:80]!r}")
        status = int(line[9:12])
        headers: dict[str, str] = {}
        while field := wire.take_line():
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status >= 200 or status == 101:
            return status, headers


def _connect(address: Address, tls: TlsFiles | None, timeout: float | None) -> Socket:
    try:
        sock = _connect_unix(address.path, timeout) if address.scheme == "unix" else _connect_tcp(address, timeout)
    except PermissionError as error:
        hint = "add yourself to the socket's group (docker or corten), or use sudo"
        raise Denied(f"permission denied while trying to connect to the engine at {address}", reason="socket-denied", hint=hint) from error
    except OSError as error:
        message = f"Cannot connect to the Corten engine at {address}. Is cortend running? ({error.strerror or error})"
        raise Unavailable(message, reason="cannot-connect") from error
    if tls is None:
        return sock
    from corten.http.client_tls import open_tls

    return open_tls(sock, address.host, tls)


def _connect_unix(path: str, timeout: float | None) -> Socket:
    sock = Socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _connect_tcp(address: Address, timeout: float | None) -> Socket:
    failure: OSError | None = None
    for family, kind, protocol, _, where in getaddrinfo(address.host, address.port, 0, SOCK_STREAM):
        sock = Socket(family, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            sock.connect(where)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure or OSError(f"no address for {address.host}")
