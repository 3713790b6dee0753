"""The client's side of a WebSocket (RFC 6455), by hand: frames with a mask, and a blocking client on a unix socket."""

import os
import socket
from types import TracebackType
from typing import Self

from corten.http.websocket import Opcode

PATIENCE = 20.0


def masked(payload: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True) -> bytes:
    """One frame, as a client sends it."""
    size, key = len(payload), os.urandom(4)
    first = (0x80 if fin else 0) | opcode
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class WebSocket:
    """`with WebSocket(path_of_socket, target) as client:`; the head of the answer is in `head`."""

    def __init__(self, path: str, target: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(PATIENCE)
        self._sock.connect(path)
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        self._sock.sendall(f"{request}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        self._input = self._sock.makefile("rb")
        self.head = b"".join(iter(self._input.readline, b"\r\n")).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._input.close()
        self._sock.close()

    def send(self, payload: bytes, opcode: Opcode = Opcode.BINARY) -> None:
        self._sock.sendall(masked(payload, opcode))

    def receive(self) -> tuple[Opcode, bytes]:
        """The next frame, whole."""
        first, size = self._input.read(2)
        if size >= 126:
            size = int.from_bytes(self._input.read(2 if size == 126 else 8), "big")
        return Opcode(first & 0x0F), self._input.read(size)

    def receive_until(self, text: bytes) -> bytes:
        """Payloads up to and with the one in which `text` is complete."""
        data = b""
        while text not in data:
            opcode, payload = self.receive()
            assert opcode is not Opcode.CLOSE, f"closed before {text!r} came: {data!r}"
            data += payload
        return data
