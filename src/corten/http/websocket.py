"""WebSocket (RFC 6455), the server's side: the handshake, frames without I/O, and the ends of a pump that speaks them.

```
 client ⇄ transport ⇄ _ClientEnd ⇄ _StreamEnd ⇄ socketpair ⇄ whoever took the stream over
            frames, masked            bytes
```
A message's borders mean nothing here: payloads are one stream of bytes, handed on as they come, so no frame is held in memory. No
extension is offered. Either side's Close frame ends both directions.
"""

import base64
import hashlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from corten.http.message import Headers
from corten.http.pump import End, InnerEnd
from corten.http.response import Fields

VERSION: Final = "13"
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_CONTROL_LIMIT: Final = 125


class Opcode(IntEnum):
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    @property
    def is_control(self) -> bool:
        return self >= Opcode.CLOSE


class CloseCode(IntEnum):
    NORMAL = 1000
    PROTOCOL_ERROR = 1002


class BadHandshake(Exception):
    """The request does not open a WebSocket; the text says why."""


class ProtocolError(Exception):
    """The client sent what is no frame of a client."""


class Frame(NamedTuple):
    """A control frame, or as much of a data frame's payload as has come."""

    opcode: Opcode
    payload: bytes


def accept_handshake(headers: Headers) -> Fields:
    """The fields of the 101 answer. Raises BadHandshake, in dockerd's words."""
    upgrade = headers.get("upgrade").lower() == "websocket"
    if not upgrade or "upgrade" not in headers.get("connection").lower():
        raise BadHandshake("not websocket protocol")
    if headers.get("sec-websocket-version") != VERSION:
        raise BadHandshake("missing or bad WebSocket Version")
    key = headers.get("sec-websocket-key")
    if not key:
        raise BadHandshake("mismatch challenge/response")
    protocol = headers.get("sec-websocket-protocol")
    if "," in protocol:
        raise BadHandshake("bad WebSocket protocol: more than one is offered")
    accept = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    if protocol:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    return fields


def encode_frame(opcode: Opcode, payload: bytes) -> bytes:
    """A whole message; a server's frames are not masked."""
    size = len(payload)
    first = _FIN | opcode
    if size <= _CONTROL_LIMIT:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class FrameDecoder:
    """Takes a client's frames apart as they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # cheap to shorten at its front
        self._opcode: Opcode | None = None
        self._missing = 0
        self._mask = b""
        self._in_message = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """What has come, in order. Raises ProtocolError behind what was well-formed."""
        self._buffer += data
        while self._opcode is not None or self._read_header():
            assert self._opcode is not None
            if self._opcode.is_control and len(self._buffer) < self._missing:
                return
            piece = self._unmask(self._buffer[: self._missing])
            del self._buffer[: len(piece)]
            self._missing -= len(piece)
            if piece or self._opcode.is_control:
                yield Frame(self._opcode, piece)
            if self._missing:
                return
            self._opcode = None

    def _read_header(self) -> bool:
        """False when it is not here whole."""
        if len(self._buffer) < 2:
            return False
        first, second = self._buffer[:2]
        opcode = self._check(first, second)
        extra = {126: 2, 127: 8}.get(second & 0x7F, 0)
        end = 2 + extra + 4
        if len(self._buffer) < end:
            return False
        self._missing = int.from_bytes(self._buffer[2 : 2 + extra], "big") if extra else second & 0x7F
        self._mask = bytes(self._buffer[2 + extra : end])
        del self._buffer[:end]
        self._opcode = opcode
        if not opcode.is_control:
            self._in_message = not first & _FIN
        return True

    def _check(self, first: int, second: int) -> Opcode:
        if first & _RESERVED:
            raise ProtocolError("a reserved bit is set")
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise ProtocolError(f"unknown opcode {first & 0x0F}") from None
        if not second & _MASKED:
            raise ProtocolError("a client's frame is not masked")
        if opcode.is_control:
            if not first & _FIN or second & 0x7F > _CONTROL_LIMIT:
                raise ProtocolError("a control frame is too long or in fragments")
        elif (opcode is Opcode.CONTINUATION) != self._in_message:
            raise ProtocolError("fragments of messages are out of order")
        return opcode

    def _unmask(self, piece: bytearray) -> bytes:
        """XOR with the mask, whose turn goes on with the next piece."""
        size = len(piece)
        key = (self._mask * (size // 4 + 1))[:size]
        turn = size % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        return (int.from_bytes(piece, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class _ClientEnd(End):
    """Faces the client: frames in, their payloads on to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = FrameDecoder()
        self._close_sent = False

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if frame.opcode is Opcode.CLOSE:
                    self._end(CloseCode.NORMAL)
                    return
                self._take(frame)
        except ProtocolError:
            self._end(CloseCode.PROTOCOL_ERROR)

    def eof_received(self) -> bool:
        """A client that leaves without a Close frame is gone: a WebSocket has no half-close."""
        self._end(CloseCode.NORMAL)
        return True

    def send_close(self, code: CloseCode) -> None:
        """Once; nothing may follow it."""
        if not self._close_sent and not self.own.is_closing():
            self.own.write(encode_frame(Opcode.CLOSE, code.to_bytes(2, "big")))
        self._close_sent = True

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            if not self._close_sent:
                self.own.write(encode_frame(Opcode.PONG, frame.payload))
        elif not frame.opcode.is_control and not self.sink.is_closing():
            self.sink.write(frame.payload)

    def _end(self, code: CloseCode) -> None:
        self.send_close(code)
        self.own.close()
        self.sink.close()


class _StreamEnd(InnerEnd):
    """Faces the socketpair: what comes is framed; its end is said by a Close frame."""

    def __init__(self, client: _ClientEnd, opcode: Opcode) -> None:
        super().__init__()
        self._client = client
        self._opcode = opcode

    def data_received(self, data: bytes) -> None:
        if not self.sink.is_closing():
            self.sink.write(encode_frame(self._opcode, data))

    def eof_received(self) -> bool:
        self._client.send_close(CloseCode.NORMAL)
        return super().eof_received()


def websocket_ends(opcode: Opcode) -> tuple[End, InnerEnd]:
    """For a Pump, outer and inner: output leaves in messages of `opcode`, input is taken from either kind."""
    client = _ClientEnd()
    return client, _StreamEnd(client, opcode)
