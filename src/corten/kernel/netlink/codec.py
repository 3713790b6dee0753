"""Attributes and headers of netlink messages as bytes (netlink(7), rtnetlink(7)). Pure; no sockets.

| u16 length | u16 type | payload | padding to 4 |
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


class Message(NamedTuple):
    """One request. `what` says it in words for errors and `--debug`; an errno in `tolerate` counts as success."""

    type: int
    flags: int
    payload: bytes
    what: str = ""
    tolerate: frozenset[int] = frozenset()


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """A zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(1, "little"))


def u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value & 0xFFFFFFFF))


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def be16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!H", value))


def walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type without flags, payload) of each attribute; stops at the first one that is cut short."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes by type; of a repeated type the last one."""
    return dict(walk(data))


def unpack_text(value: bytes | None) -> str:
    return "" if value is None else value.split(b"\0", 1)[0].decode("utf-8", "replace")


def unpack_u32(value: bytes | None) -> int:
    return 0 if value is None else int(struct.unpack("=I", value[:4])[0])


def pack_message(message: Message, sequence: int, extra_flags: int = 0) -> bytes:
    """The message with its header, padded so that another one may follow."""
    length = HEADER.size + len(message.payload)
    head = HEADER.pack(length, message.type, message.flags | NLM_F_REQUEST | extra_flags, sequence, 0)
    return head + message.payload + bytes(-length % 4)


class Reply(NamedTuple):
    type: int
    flags: int
    sequence: int
    payload: bytes


def split_messages(data: bytes) -> Iterator[Reply]:
    """The messages of one received datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        yield Reply(kind, flags, sequence, data[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3
