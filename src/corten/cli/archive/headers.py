"""The header of one archive member. Most have short names and fit the old format; `tarfile`, six milliseconds to load, makes the rest."""

from typing import Final

_LONGEST_NAME: Final = 100
_LARGEST: Final = 0o77777777777


def file_header(name: str, size: int, mode: int) -> bytes:
    """Of a regular file of `size` bytes that is root's and has no time."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) > _LONGEST_NAME or not name.isascii() or size > _LARGEST:
        return _extended(name, size, mode)
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, 0)
    block = b"%b%b        0%bustar\x0000" % (raw.ljust(100, b"\0"), numbers, bytes(100))
    block = block.ljust(512, b"\0")
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _extended(name: str, size: int, mode: int) -> bytes:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
