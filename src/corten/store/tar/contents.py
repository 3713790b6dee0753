"""A member's payload and attributes put into an open file, and where a payload lies afterwards."""

import errno
import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from isal import isal_zlib

from corten.oci.whiteout import is_private_xattr
from corten.store.files import write_all
from corten.store.tar.header import Entry, settable_time
from corten.store.tar.reader import TarReader

_REFUSED_XATTRS: Final = frozenset((errno.ENOTSUP, errno.EPERM))


class Content(NamedTuple):
    """A payload in a file: `path` under the root, `size` in the archive, `crc` (CRC-32) of it, `extents` when it is sparse."""

    path: bytes
    size: int
    crc: int
    extents: list[tuple[int, int]] | None


def write_payload(fd: int, entry: Entry, reader: TarReader) -> int:
    """Write the reader's current payload to the new file `fd`; its CRC-32."""
    if entry.sparse is not None:
        return _write_sparse(fd, entry, reader.payload())
    whole = reader.whole_payload()
    crc = 0
    for piece in (whole,) if whole is not None else reader.payload():
        crc = isal_zlib.crc32(piece, crc)
        if piece and (written := os.write(fd, piece)) != len(piece):
            write_all(fd, piece[written:])
    return crc


def _write_sparse(fd: int, entry: Entry, pieces: Iterable[memoryview]) -> int:
    assert entry.sparse is not None
    extents = iter(entry.sparse)
    crc = offset = left = 0
    for piece in pieces:
        crc = isal_zlib.crc32(piece, crc)
        while piece:
            while not left:
                offset, left = next(extents)
            written = os.pwrite(fd, piece[:left], offset)
            offset, left, piece = offset + written, left - written, piece[written:]  # noqa: PLW2901
    os.ftruncate(fd, entry.length)
    return crc


def describe(fd: int, entry: Entry) -> None:
    """Attributes (to be set after the owner: a chown drops capabilities), then times."""
    if entry.xattrs:
        set_xattrs(fd, entry.xattrs)
    time = settable_time(entry.mtime_ns)
    os.utime(fd, ns=(time, time))


def set_xattrs(target: int | str, xattrs: dict[bytes, bytes]) -> None:
    """Set what the file system takes: as in Docker, one without extended attributes is no reason to fail. Never overlayfs's own.

    `target` is a descriptor, or the path of an `Inode`.
    """
    for name, value in xattrs.items():
        if is_private_xattr(name):
            continue
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            if error.errno not in _REFUSED_XATTRS:
                raise


def read_umask() -> int:
    """This process's file mode creation mask, read without changing it (it belongs to all threads)."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o777  # kernels before 4.7 do not say: then every mode is set explicitly
