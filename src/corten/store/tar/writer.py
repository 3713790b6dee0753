"""Making tar members: header blocks in ustar form, with a pax header before them where ustar cannot say it.

The same entry gives the same bytes on every machine (no names of users, no times but the entry's whole seconds), so that a layer
made twice has one diff id. Go's archive/tar, which Docker's layers come from, chooses the same way.
"""

from typing import Final

from corten.store.tar.header import BLOCK, BLOCK_DEVICE, CHAR, DIRECTORY, PAX, ZERO_BLOCK, Entry

END: Final = 2 * ZERO_BLOCK
_OCTAL_7: Final = 0o7777777
_OCTAL_11: Final = 0o77777777777


def header(entry: Entry) -> bytes:
    """All blocks that precede the payload of `entry`. Sparse maps are not written: the payload is the whole file."""
    name = entry.name + b"/" if entry.type == DIRECTORY and not entry.name.endswith(b"/") else entry.name
    seconds = entry.mtime_ns // 1_000_000_000
    records: dict[bytes, bytes] = {}
    place = _split_name(name)
    if place is None or not name.isascii():
        records[b"path"] = name
    if len(entry.link) > 100 or not entry.link.isascii():
        records[b"linkpath"] = entry.link
    numbers = (
        (b"size", entry.size, _OCTAL_11),
        (b"uid", entry.uid, _OCTAL_7),
        (b"gid", entry.gid, _OCTAL_7),
        (b"mtime", seconds, _OCTAL_11),
    )
    for field, number, limit in numbers:
        if not 0 <= number <= limit:
            records[field] = b"%d" % number
    for key, value in sorted((entry.xattrs or {}).items()):
        records[b"SCHILY.xattr." + key] = value
    fields = _Fields(entry, *(place or (b"", name[:100])), seconds)
    return (_pax_member(entry, records) if records else b"") + fields.block()


def padding(size: int) -> bytes:
    """What follows a payload of `size` bytes."""
    return bytes(-size % BLOCK)


class _Fields:
    def __init__(self, entry: Entry, prefix: bytes, name: bytes, seconds: int) -> None:
        self._entry = entry
        self._prefix = prefix
        self._name = name
        self._seconds = seconds

    def block(self) -> bytes:
        entry = self._entry
        block = bytearray(BLOCK)
        block[0 : len(self._name)] = self._name
        block[100:108] = _octal(entry.mode, 7)
        block[108:116] = _octal(entry.uid, 7)
        block[116:124] = _octal(entry.gid, 7)
        block[124:136] = _octal(entry.size, 11)
        block[136:148] = _octal(self._seconds, 11)
        block[148:156] = b" " * 8
        block[156] = entry.type
        link = entry.link[:100]
        block[157 : 157 + len(link)] = link
        block[257:265] = b"ustar\x0000"
        if entry.type in (CHAR, BLOCK_DEVICE):
            block[329:337] = _octal(entry.major, 7)
            block[337:345] = _octal(entry.minor, 7)
        block[345 : 345 + len(self._prefix)] = self._prefix
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)


def _octal(value: int, digits: int) -> bytes:
    """A value that does not fit is 0 here and in the pax header in full."""
    return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) as ustar wants them; None when the name fits in neither way."""
    if len(name) <= 100:
        return b"", name
    cut = name.rfind(b"/", 0, 156)
    while cut > 0:
        if 0 < len(name) - cut - 1 <= 100:
            return name[:cut], name[cut + 1 :]
        if len(name) - cut - 1 > 100:
            return None
        cut = name.rfind(b"/", 0, cut)
    return None


def _pax_member(entry: Entry, records: dict[bytes, bytes]) -> bytes:
    data = b"".join(_pax_record(key, value) for key, value in sorted(records.items()))
    member = Entry(b"", PAX, 0o644, len(data))
    directory, _, last = entry.name.rstrip(b"/").rpartition(b"/")
    name = (b"PaxHeaders.0/" + last)[:100] if not directory else (directory[:60] + b"/PaxHeaders.0/" + last)[:100]
    return _Fields(member, b"", bytes(c if c < 128 else ord("_") for c in name), 0).block() + data + padding(len(data))


def _pax_record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    size = len(body) + 1
    while size != len(body) + len(b"%d" % size):
        size = len(body) + len(b"%d" % size)
    return b"%d" % size + body
