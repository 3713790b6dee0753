"""A tree of files as a tar stream, made while it is sent. The tree may change meanwhile, and belongs to somebody who may be hostile.

Nothing is followed: directories are entered by descriptor, files opened O_NOFOLLOW once they are known to be regular (a fifo would hang
us). What vanishes before its member was begun is left out; a file that shrinks is filled up with zeros.
"""

import os
import stat
from collections.abc import Callable
from typing import Final

from corten.oci.whiteout import is_private_xattr
from corten.store.tar.header import BLOCK_DEVICE, CHAR, DIRECTORY, FIFO, FILE, HARD_LINK, SYMLINK, Entry
from corten.store.tar.writer import END, header, padding

_PIECE: Final = 256 << 10  # more than the allocator keeps at hand would be mapped and cleared anew for each piece
_GATHERED: Final = 256 << 10
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KEPT_XATTRS: Final = (b"security.capability", b"user.")
_TYPES: Final = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


class Packer:
    """Members one after another into `emit`, in big pieces; `finish` ends the archive. Raises what `emit` raises, and OSError."""

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._waiting: list[bytes] = []
        self._size = 0
        self._links: dict[tuple[int, int], bytes] = {}

    def member(self, folder: int, name: bytes, path: bytes) -> None:
        """What `folder` (an fd) has under `name`, as the member `path`; a directory with all that is in it. A missing one is left out."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._add(folder, name, path, found)
        except FileNotFoundError:
            return

    def directory(self, fd: int, path: bytes, prefix: bytes | None = None) -> None:
        """Directory `fd` as the member `path` (b"" for none), and what is in it, sorted, as members `prefix` + name."""
        if path:
            self._put(header(_entry(path, DIRECTORY, os.fstat(fd), _xattrs(fd))))
        start = path + b"/" if prefix is None else prefix
        for name in sorted(os.fsencode(text) for text in os.listdir(fd)):
            self.member(fd, name, start + name)

    def finish(self) -> None:
        self._put(END)
        self._flush()

    def _add(self, folder: int, name: bytes, path: bytes, found: os.stat_result) -> None:
        kind = _TYPES.get(stat.S_IFMT(found.st_mode))
        if kind is None:  # a socket, which a tar cannot hold
            return
        if kind == DIRECTORY:
            fd = os.open(name, _DIRECTORY_FLAGS, dir_fd=folder)
            try:
                self.directory(fd, path)
            finally:
                os.close(fd)
            return
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                self._put_link(path, found, HARD_LINK, first)
                return
        if kind == FILE:
            self._file(folder, name, path)
        elif kind == SYMLINK:
            self._put_link(path, found, SYMLINK, os.readlink(name, dir_fd=folder))
        else:
            entry = _entry(path, kind, found, None)
            if kind != FIFO:
                entry.major, entry.minor = os.major(found.st_rdev), os.minor(found.st_rdev)
            self._put(header(entry))

    def _put_link(self, path: bytes, found: os.stat_result, kind: int, link: bytes) -> None:
        entry = _entry(path, kind, found, None)
        entry.link = link
        self._put(header(entry))

    def _file(self, folder: int, name: bytes, path: bytes) -> None:
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):  # exchanged since we looked
                return
            entry = _entry(path, FILE, found, _xattrs(fd))
            entry.size = entry.length = found.st_size
            self._put(header(entry))
            self._content(fd, found.st_size)
            self._put(padding(found.st_size))
        finally:
            os.close(fd)

    def _content(self, fd: int, size: int) -> None:
        while size:
            piece = os.read(fd, min(_PIECE, size)) or bytes(min(_PIECE, size))
            size -= len(piece)
            self._put(piece)

    def _put(self, data: bytes) -> None:
        if len(data) >= _GATHERED:
            self._flush()
            self._emit(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _GATHERED:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._emit(b"".join(self._waiting))
            self._waiting.clear()
            self._size = 0


def pack_root(root: int, emit: Callable[[bytes], None]) -> None:
    """Everything below the root, names without a slash in front."""
    packer = Packer(emit)
    fd = os.open(".", _DIRECTORY_FLAGS, dir_fd=root)
    try:
        packer.directory(fd, b"", b"")
    finally:
        os.close(fd)
    packer.finish()


def _entry(path: bytes, kind: int, found: os.stat_result, xattrs: dict[bytes, bytes] | None) -> Entry:
    entry = Entry(path, kind, stat.S_IMODE(found.st_mode))
    entry.uid, entry.gid, entry.mtime_ns = found.st_uid, found.st_gid, found.st_mtime_ns
    entry.xattrs = xattrs
    return entry


def _xattrs(fd: int) -> dict[bytes, bytes] | None:
    try:
        names = [os.fsencode(name) for name in os.listxattr(fd)]
        kept = [name for name in names if name.startswith(_KEPT_XATTRS) and not is_private_xattr(name)]
        return {name: os.getxattr(fd, name) for name in kept} or None
    except OSError:  # a file system without them, or gone since we looked
        return None
