"""Gzipping a rotated log file, in a process of its own: into a temporary name, which the container's monitor then swaps in."""

import os
import zlib

from corten.monitor.logs.rotation import compressed_name

_LEVEL = 6
_GZIP_FORMAT = 31
_BLOCK = 1 << 20


def compress(path: str, inode: int) -> None:
    """Make `compressed_name(path, inode)` of the rotated file that has this inode; a killed run's rest is overwritten.

    Nothing happens if the file is gone.
    """
    source = _find(path, inode)
    if source < 0:
        return
    target = os.open(compressed_name(path, inode), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    with open(source, "rb") as plain, open(target, "wb") as packed:
        while data := plain.read(_BLOCK):
            packed.write(packer.compress(data))
        packed.write(packer.flush())


def _find(path: str, inode: int) -> int:
    """The file, opened, wherever rotation has moved it; -1 if it is not there."""
    folder, name = os.path.split(path)
    for entry in os.scandir(folder):
        if entry.name.startswith(name + ".") and entry.inode() == inode:
            fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(fd).st_ino == inode:
                return fd
            os.close(fd)
    return -1
