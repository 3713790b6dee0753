"""Tar headers as values: ustar, GNU and pax (POSIX.1-2001 pax; GNU tar manual, "Basic Tar Format"; star's SCHILY keys).

Names are bytes and stay as the archive has them. Numbers may be octal text or GNU's base 256.
"""

import struct
import zlib
from typing import Final

from corten.errors import Invalid

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)

FILE, HARD_LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = b"01234567"
OLD_FILE: Final = 0
PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK, GNU_SPARSE = b"xgLKS"
HEADER_ONLY: Final = frozenset((HARD_LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO))

_FIELDS: Final = struct.Struct("100s8s8s8s12s12s8sB100s8s32s32s8s8s155s12s")
_XATTR: Final = b"SCHILY.xattr."
_MAX_TIME_NS: Final = (1 << 63) - 1
_NAME_KEYS: Final = frozenset((b"path", b"linkpath", b"GNU.sparse.name"))
_REPEATED: Final = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))  # sparse format 0.0; joined by commas here
_INTEGERS: Final = frozenset((b"size", b"uid", b"gid"))


class Entry:
    """One member of an archive. `size` is its payload's length in the archive; for a sparse file `length` is the file's own.

    `type` is one of this module's constants (OLD_FILE and CONTIGUOUS are given as FILE). `sparse` lists (offset, length) of data.
    """

    __slots__ = ("gid", "length", "link", "major", "minor", "mode", "mtime_ns", "name", "size", "sparse", "type", "uid", "xattrs")

    def __init__(self, name: bytes, type: int = FILE, mode: int = 0o644, size: int = 0) -> None:
        self.name = name
        self.type = type
        self.mode = mode
        self.uid = self.gid = self.major = self.minor = 0
        self.size = self.length = size
        self.mtime_ns = 0
        self.link = b""
        self.xattrs: dict[bytes, bytes] | None = None
        self.sparse: list[tuple[int, int]] | None = None


def bad(text: str) -> Invalid:
    return Invalid(f"invalid tar header: {text}", reason="bad-tar", hint="the archive is damaged or no tar archive")


def checksum_holds(block: bytes) -> bool:
    """Compares modulo 65521: Adler-32's low half is the byte sum plus one, computed in C."""
    try:
        stored = int(block[148:156].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return False
    plain = (zlib.adler32(block) & 0xFFFF) - 1 - sum(block[148:156]) + 256
    return (stored - plain) % 65521 == 0


def number(field: bytes) -> int:
    """An octal or base-256 field; empty means 0. Raises Invalid otherwise."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    text = field.strip(b"\0 ")
    if not text:
        return 0
    try:
        return int(text.partition(b"\0")[0], 8)
    except ValueError:
        raise bad(f"number {field!r}") from None


def parse_header(block: bytes) -> Entry:
    """The entry that one header block describes, before pax and GNU extensions are applied. Raises Invalid."""
    if not checksum_holds(block):
        raise bad("checksum")
    name, mode, uid, gid, size, mtime, _, kind, link, magic, _, _, major, minor, prefix, _ = _FIELDS.unpack(block)
    entry = Entry(name.partition(b"\0")[0])
    if prefix[0] and magic[:6] == b"ustar\0":
        entry.name = prefix.partition(b"\0")[0] + b"/" + entry.name
    entry.mode = number(mode) & 0o7777
    entry.uid = number(uid)
    entry.gid = number(gid)
    entry.size = entry.length = number(size)
    entry.mtime_ns = number(mtime) * 1_000_000_000
    if link[0]:
        entry.link = link.partition(b"\0")[0]
    entry.type = kind
    if kind in (OLD_FILE, CONTIGUOUS):
        entry.type = DIRECTORY if kind == OLD_FILE and entry.name.endswith(b"/") else FILE
    elif kind in (CHAR, BLOCK_DEVICE):
        entry.major, entry.minor = number(major), number(minor)
    if entry.size < 0:
        raise bad(f"size {entry.size}")
    return entry


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """The records of one extended header. Raises Invalid."""
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(data):
        space = data.find(b" ", start, start + 20)
        digits = data[start:space] if space > start else b""
        end = start + int(digits) if digits.isdigit() else len(data) + 1
        if not space < end <= len(data) or data[end - 1] != 0x0A:
            raise bad("pax record")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals:
            raise bad("pax record")
        if key in _NAME_KEYS and b"\0" in value:
            raise bad(f"{key.decode()} holds a null byte")
        if key in _REPEATED and key in records:
            value = records[key] + b"," + value
        records[key] = value
        start = end
    return records


def apply_pax(entry: Entry, records: dict[bytes, bytes]) -> None:
    """Let `records` override the header's fields; an empty value leaves the field as it was."""
    for key, value in records.items():
        if key == b"path":
            entry.name = value or entry.name
        elif key == b"linkpath":
            entry.link = value or entry.link
        elif key == b"mtime":
            entry.mtime_ns = parse_time(value) if value else entry.mtime_ns
        elif key.startswith(_XATTR):
            entry.xattrs = entry.xattrs or {}
            entry.xattrs[key[len(_XATTR) :]] = value
        elif key in _INTEGERS and value:
            _set_integer(entry, key, value)


def _set_integer(entry: Entry, key: bytes, value: bytes) -> None:
    if not value.isdigit() or len(value) > 19:
        raise bad(f"{key.decode()} {value[:32]!r}")
    if key == b"size":
        entry.size = entry.length = int(value)
    elif key == b"uid":
        entry.uid = int(value)
    else:
        entry.gid = int(value)


def parse_time(value: bytes) -> int:
    """Seconds with a decimal fraction, as ns since the epoch. Raises Invalid."""
    whole, _, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        raise bad(f"time {value[:32]!r}")
    ns = int(digits) * 1_000_000_000 + int((fraction + b"000000000")[:9])
    return -ns if negative else ns


def settable_time(ns: int) -> int:
    """`ns`, or 0 (as Docker does) when a file system could not hold it."""
    return ns if 0 <= ns <= _MAX_TIME_NS else 0
