"""The four ways in which GNU tar writes sparse files: the old 'S' header and pax formats 0.0, 0.1 and 1.0.

(GNU tar manual, "Storing Sparse Files".) All give the same: a list of (offset, length) of data, and the file's length.
"""

from collections.abc import Callable
from typing import Final

from corten.store.tar.header import BLOCK, Entry, bad, number

_MAX_EXTENTS: Final = 1 << 20


def old_gnu_map(block: bytes, read_block: Callable[[], bytes]) -> tuple[list[tuple[int, int]], int]:
    """The map of an 'S' header and of the extension blocks that follow it, and the file's length."""
    extents = _pairs(block, 386, 4)
    length = number(block[483:495])
    more = block[482]
    while more:
        extension = read_block()
        extents += _pairs(extension, 0, 21)
        more = extension[504]
        if len(extents) > _MAX_EXTENTS:
            raise bad("sparse map too long")
    return extents, length


def pax_map(entry: Entry, records: dict[bytes, bytes], read_block: Callable[[], bytes]) -> None:
    """Make `entry` sparse if `records` say so; format 1.0 takes the map off the front of the payload by `read_block`."""
    if records.get(b"GNU.sparse.major") == b"1" and records.get(b"GNU.sparse.minor") == b"0":
        extents, taken = _leading_map(read_block)
        entry.size -= taken
    elif b"GNU.sparse.map" in records:
        extents = _listed(records[b"GNU.sparse.map"])
    elif b"GNU.sparse.offset" in records:
        offsets, lengths = (records.get(key, b"").split(b",") for key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"))
        extents = list(zip(map(_whole, offsets), map(_whole, lengths), strict=False))
    else:
        return
    entry.name = records.get(b"GNU.sparse.name") or entry.name
    length = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
    set_map(entry, extents, _whole(length) if length else entry.length)


def set_map(entry: Entry, extents: list[tuple[int, int]], length: int) -> None:
    """Check the map against payload and length, and give it to `entry`. Raises Invalid."""
    at = 0
    for offset, size in extents:
        if offset < at or size < 0:
            raise bad("sparse map out of order")
        at = offset + size
    if at > length or sum(size for _, size in extents) != entry.size:
        raise bad("sparse map does not fit the file")
    entry.sparse, entry.length = extents, length


def _pairs(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    fields = [(block[at : at + 12], block[at + 12 : at + 24]) for at in range(start, start + 24 * count, 24)]
    return [(number(offset), number(size)) for offset, size in fields if offset[0] or size[0]]


def _leading_map(read_block: Callable[[], bytes]) -> tuple[list[tuple[int, int]], int]:
    blocks = [read_block()]
    count, newlines = -1, blocks[0].count(b"\n")
    while count < 0 or newlines < 2 * count + 1:
        if count < 0 and newlines:
            count = _whole(b"".join(blocks).partition(b"\n")[0])
            continue
        if max(count, len(blocks)) > _MAX_EXTENTS:
            raise bad("sparse map too long")
        blocks.append(read_block())
        newlines += blocks[-1].count(b"\n")
    lines = b"".join(blocks).split(b"\n")
    numbers = [_whole(line) for line in lines[1 : 2 * count + 1]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), len(blocks) * BLOCK


def _listed(value: bytes) -> list[tuple[int, int]]:
    numbers = [_whole(text) for text in value.split(b",")] if value else []
    if len(numbers) % 2:
        raise bad("sparse map")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _whole(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise bad("sparse map")
    return int(text)
