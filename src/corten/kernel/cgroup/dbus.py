"""As much of D-Bus as asking systemd takes: one connection to its private socket, method calls, the wait for a job.

Values are marshalled by signature: s o g (text), b, u, t, y (numbers), arrays `aX`, structs `(XY)` and variants `v`, given as a
(signature, value) pair. Source: the D-Bus specification, "Message Protocol"; little-endian only.
"""

import os
import socket
import struct
from typing import Any

PRIVATE_SOCKET = "/run/systemd/private"
_TIMEOUT = 25.0
_NUMBERS = {"y": (1, "B"), "b": (4, "I"), "u": (4, "I"), "t": (8, "Q")}
_ALIGNMENT = {"s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8} | {kind: size for kind, (size, _) in _NUMBERS.items()}
_CALL, _ERROR, _SIGNAL = 1, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8


class DBusError(OSError):
    """systemd refused. `name` is the D-Bus error's, such as org.freedesktop.systemd1.NoSuchUnit."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(5, f"systemd: {text or name}")
        self.name = name


def split_signature(signature: str) -> list[str]:
    """The complete types that a signature holds: `sa(sv)u` -> s, a(sv), u."""
    found, start, depth = [], 0, 0
    for index, letter in enumerate(signature):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter != "a":
            found.append(signature[start : index + 1])
            start = index + 1
    return found


def marshal(signature: str, values: list[Any]) -> bytes:
    """`values`, one for each complete type of `signature`."""
    out = bytearray()
    for kind, value in zip(split_signature(signature), values, strict=True):
        _put(out, kind, value)
    return bytes(out)


def _align(out: bytearray, size: int) -> None:
    out += b"\0" * (-len(out) % size)


def _put(out: bytearray, kind: str, value: Any) -> None:
    first = kind[0]
    _align(out, _ALIGNMENT[first])
    if first in _NUMBERS:
        out += struct.pack(f"<{_NUMBERS[first][1]}", value)
    elif first in "so":
        out += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
    elif first == "g":
        out += bytes([len(value)]) + value.encode() + b"\0"
    elif first == "v":
        _put(out, "g", value[0])
        _put(out, value[0], value[1])
    elif first == "(":
        for inner, item in zip(split_signature(kind[1:-1]), value, strict=True):
            _put(out, inner, item)
    else:
        _put_array(out, kind[1:], value)


def _put_array(out: bytearray, inner: str, items: Any) -> None:
    """The length counts neither itself nor the padding before the first item."""
    length_at = len(out)
    out += b"\0\0\0\0"
    _align(out, _ALIGNMENT[inner[0]])
    start = len(out)
    for item in items:
        _put(out, inner, item)
    struct.pack_into("<I", out, length_at, len(out) - start)


def unmarshal(signature: str, body: bytes) -> list[Any]:
    """The values of a body that holds only s, o and u: replies with a job, errors, JobRemoved. Others end the list."""
    found: list[Any] = []
    at = 0
    for kind in split_signature(signature):
        if kind not in ("s", "o", "u"):
            break
        at += -at % 4
        (number,) = struct.unpack_from("<I", body, at)
        at += 4
        if kind == "u":
            found.append(number)
            continue
        found.append(body[at : at + number].decode())
        at += number + 1
    return found


class Message:
    """What came in: its kind, the header fields by their codes, the values of its body."""

    __slots__ = ("fields", "kind", "values")

    def __init__(self, kind: int, fields: dict[int, Any], body: bytes) -> None:
        self.kind = kind
        self.fields = fields
        self.values = unmarshal(fields.get(_SIGNATURE, ""), body)


class Systemd:
    """A connection to systemd's manager; a context manager. Needs root."""

    def __init__(self, path: str = PRIVATE_SOCKET) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._serial = 0
        self._early: list[Message] = []
        try:
            self._socket.settimeout(_TIMEOUT)
            self._socket.connect(path)
            # BEGIN goes along, as sd-bus does it: sent after the OK it may be read together with the first message, and systemd
            # (252) then sits on that message until more bytes come.
            self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
            if not self._socket.recv(512).startswith(b"OK"):
                raise DBusError("", "authentication was refused")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "Systemd":
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def call(self, member: str, signature: str, *values: Any) -> list[Any]:
        """A method of org.freedesktop.systemd1.Manager; the values of its answer. Raises DBusError."""
        self._serial += 1
        body = marshal(signature, list(values))
        fields = [
            (_PATH, ("o", "/org/freedesktop/systemd1")),
            (_DESTINATION, ("s", "org.freedesktop.systemd1")),
            (_INTERFACE, ("s", "org.freedesktop.systemd1.Manager")),
            (_MEMBER, ("s", member)),
            (_SIGNATURE, ("g", signature)),
        ]
        head = bytearray(struct.pack("<cBBBII", b"l", _CALL, 0, 1, len(body), self._serial))
        _put(head, "a(yv)", fields)
        _align(head, 8)
        self._socket.sendall(bytes(head) + body)
        while True:
            message = self._receive()
            if message.fields.get(_REPLY_SERIAL) == self._serial:
                return self._answer(message)
            self._early.append(message)

    def _answer(self, message: Message) -> list[Any]:
        if message.kind == _ERROR:
            raise DBusError(str(message.fields.get(_ERROR_NAME, "")), str(message.values[0]) if message.values else "")
        return message.values

    def wait_for_job(self, job: str) -> None:
        """Until the job (an object path) is done. Raises DBusError when it ends otherwise, TimeoutError after 25 s."""
        while True:
            message = self._early.pop(0) if self._early else self._receive()
            if message.kind == _SIGNAL and message.fields.get(_MEMBER) == "JobRemoved":
                _, path, unit, result = message.values
                if path != job:
                    continue
                if result != "done":
                    raise DBusError("", f"{unit}: the job ended as {result!r}")
                return

    def _receive(self) -> Message:
        head = self._exactly(16)
        kind = head[1]
        (body_length,) = struct.unpack_from("<I", head, 4)
        (fields_length,) = struct.unpack_from("<I", head, 12)
        fields = self._exactly(fields_length + -fields_length % 8)[:fields_length]
        return Message(kind, _parse_fields(fields), self._exactly(body_length))

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            chunk = self._socket.recv(size - len(found))
            if not chunk:
                raise DBusError("", "the connection ended")
            found += chunk
        return bytes(found)


def _parse_fields(data: bytes) -> dict[int, Any]:
    """The header fields: an array of (code, variant), each at a multiple of 8; all variants are texts, signatures or u."""
    found: dict[int, Any] = {}
    at = 0
    while at < len(data):
        at += -at % 8
        code, kind = data[at], chr(data[at + 2])
        at += 4
        if kind == "g":
            length, at = data[at], at + 1
        elif kind == "u":
            (found[code],) = struct.unpack_from("<I", data, at)
            at += 4
            continue
        else:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        found[code] = data[at : at + length].decode()
        at += length + 1
    return found
