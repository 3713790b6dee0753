"""FileDigests of the files of build contexts, kept from build to build: one file for each folder that was built from.

    build/contexts/DEVICE-INODE     MAGIC, CRC32 of the rest; boot id, time of writing; records of device, inode, size, mtime, ctime, sha256

They save reading and nothing else: a file that is damaged, of another version or gone is as if nothing had been read yet. It is not
flushed. What was in a context's file may not have been either when the power went, so that it is older than its times tell: entries
that were fresh when they were written are not trusted after a boot.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from corten.build.files.digests import FileDigests, Known
from corten.store.files import boot_id, write_all

MAGIC: Final = b"corten context 1\n"
MOST_ENTRIES: Final = 500_000
"""36 MB a folder."""
MOST_FOLDERS: Final = 64
MOST_BYTES: Final = 256 << 20
_FRESH: Final = 600 * 10**9
"""ns in which the kernel has written out every dirty page."""
_CRC: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<36sq")
_RECORD: Final = struct.Struct("<QQqqq32s")


class DigestStore:
    """All methods block. They raise nothing: a folder whose digests cannot be kept is read again next time."""

    def __init__(self, folder: str, *, boot: str = "") -> None:
        """`boot`: another id of this boot than the kernel's."""
        self._folder = folder
        self._boot = boot or boot_id()

    def digests(self, root: int) -> FileDigests:
        """What is known of the folder that `root` is a descriptor of."""
        path = self._path(root)
        try:
            with open(path, "rb") as file:
                known = _read(file.read(), self._boot)
            os.utime(path)  # the least recently used one goes first
        except OSError:
            known = {}
        return FileDigests(known, private=False)

    def keep(self, root: int, digests: FileDigests, now: int) -> None:
        """`now` in ns since the epoch."""
        if not digests.is_changed:
            return
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            _replace(self._path(root), _written(digests, self._boot, now))
            for path in _surplus(self._folder):
                os.unlink(path)
        except OSError:
            return

    def _path(self, root: int) -> str:
        found = os.fstat(root)
        return os.path.join(self._folder, f"{found.st_dev:x}-{found.st_ino:x}")


def _read(raw: bytes, boot: str) -> Known:
    body = memoryview(raw)[len(MAGIC) + _CRC.size :]
    start = MAGIC + _CRC.pack(zlib.crc32(body))
    if not raw.startswith(start) or (len(body) - _HEAD.size) % _RECORD.size:
        return {}
    written_in, when = _HEAD.unpack_from(body)
    newest = None if written_in == boot.encode() else when - _FRESH
    records = _RECORD.iter_unpack(body[_HEAD.size :])
    return {(r[0], r[1]): (r[2], r[3], r[4], r[5]) for r in records if newest is None or r[4] < newest}


def _written(digests: FileDigests, boot: str, now: int) -> bytes:
    records = (_RECORD.pack(*inode, *entry) for inode, entry in digests.kept(MOST_ENTRIES))
    body = _HEAD.pack(boot.encode(), now) + b"".join(records)
    return MAGIC + _CRC.pack(zlib.crc32(body)) + body


def _replace(path: str, content: bytes) -> None:
    temporary = f"{path}.{secrets.token_hex(6)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, content)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _surplus(folder: str) -> Iterator[str]:
    """Least recently used ones beyond the limits."""
    with os.scandir(folder) as entries:
        found = sorted(((e.stat().st_mtime_ns, e.stat().st_size, e.path) for e in entries), reverse=True)
    total = 0
    for number, (_, size, path) in enumerate(found):
        total += size
        if number >= MOST_FOLDERS or total > MOST_BYTES:
            yield path
