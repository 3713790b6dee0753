"""Copies a tree between directory descriptors: owners, modes, times, extended attributes, hard links, holes and special files.

Never follows a link, on either side. File contents go by reflink where the file system can, else inside the kernel.
"""

import errno
import fcntl
import os
import stat
from dataclasses import dataclass, field

from corten.kernel.inode import Inode
from corten.oci.whiteout import OPAQUE_XATTR

FICLONE = 0x40049409
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES})
_PIECE = 1 << 30


@dataclass(slots=True)
class TreeCopy:
    """One copy under way; hard links are kept within it. `bytes` counts what was copied.

    `opaque`: overlayfs's mark on directories that hide what is below them is copied too (for an upper directory).
    """

    bytes: int = 0
    entries: int = 0
    opaque: bool = False
    _links: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    _kept: list[int] = field(default_factory=list)

    def close(self) -> None:
        for fd in self._kept:
            os.close(fd)
        self._kept.clear()
        self._links.clear()

    def contents(self, source: int, target: int) -> None:
        """Everything in directory `source` into directory `target`, then the directory's own owner, mode, times and attributes."""
        for name in os.listdir(source):
            self.entry(source, name, target, name)
        self._attributes(source, target)

    def entry(self, source: int, name: str, target: int, new_name: str) -> None:
        """One file of any kind. Raises OSError (ENOSPC, EEXIST, ...)."""
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        self.entries += 1
        if stat.S_ISDIR(found.st_mode):
            self._directory(source, name, target, new_name)
            return
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._links:
            folder, first = self._links[key]
            os.link(first, new_name, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
            return
        if stat.S_ISREG(found.st_mode):
            self._file(source, name, target, new_name)
        elif stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
            with Inode(new_name, target, stat.S_IFLNK) as made:
                made.chown(found.st_uid, found.st_gid)
                made.utime(found.st_atime_ns, found.st_mtime_ns)
        elif not stat.S_ISSOCK(found.st_mode):
            os.mknod(new_name, found.st_mode, found.st_rdev, dir_fd=target)
            with Inode(new_name, target, stat.S_IFMT(found.st_mode)) as made:
                made.chown(found.st_uid, found.st_gid)
                made.chmod(stat.S_IMODE(found.st_mode))
        if found.st_nlink > 1:
            self._remember(key, target, new_name)

    def _directory(self, source: int, name: str, target: int, new_name: str) -> None:
        os.mkdir(new_name, 0o700, dir_fd=target)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        inner = os.open(name, flags, dir_fd=source)
        try:
            outer = os.open(new_name, flags, dir_fd=target)
            try:
                self.contents(inner, outer)
            finally:
                os.close(outer)
        finally:
            os.close(inner)

    def _file(self, source: int, name: str, target: int, new_name: str) -> None:
        read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=source)
        try:
            if not stat.S_ISREG(os.fstat(read).st_mode):  # exchanged since we looked
                return
            write = os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                self.bytes += copy_content(read, write)
                self._attributes(read, write)
            finally:
                os.close(write)
        finally:
            os.close(read)

    def _attributes(self, source: int, target: int) -> None:
        found = os.fstat(source)
        os.fchown(target, found.st_uid, found.st_gid)
        os.fchmod(target, stat.S_IMODE(found.st_mode))
        try:
            names = os.listxattr(source)
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                raise
            names = []
        for name in names:
            if not name.startswith("trusted.overlay.") or (self.opaque and name == OPAQUE_XATTR):
                _copy_xattr(source, target, name)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))

    def _remember(self, key: tuple[int, int], folder: int, name: str) -> None:
        if not self._kept or not _same_directory(self._kept[-1], folder):
            self._kept.append(os.dup(folder))
        self._links[key] = (self._kept[-1], name)


def copy_content(read: int, write: int) -> int:
    """The bytes of a regular file, holes kept; the number of data bytes. Both offsets start at 0."""
    size = os.fstat(read).st_size
    try:
        fcntl.ioctl(write, FICLONE, read)
    except OSError:
        os.ftruncate(write, size)
        return _copy_extents(read, write, size)
    return size


def _copy_extents(read: int, write: int, size: int) -> int:
    copied = position = 0
    while position < size:
        try:
            start = os.lseek(read, position, os.SEEK_DATA)
            end = os.lseek(read, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            start, end = position, size  # a file system without holes
        copied += _copy_range(read, write, start, end)
        position = end
    return copied


def _copy_range(read: int, write: int, start: int, end: int) -> int:
    position = start
    while position < end:
        try:
            count = os.copy_file_range(read, write, min(_PIECE, end - position), position, position)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            os.lseek(write, position, os.SEEK_SET)
            count = os.sendfile(write, read, position, min(_PIECE, end - position))
        if count == 0:
            break
        position += count
    return position - start


def _copy_xattr(source: int, target: int, name: str) -> None:
    try:
        os.setxattr(target, name, os.getxattr(source, name))
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            raise


def _same_directory(a: int, b: int) -> bool:
    return os.path.sameopenfile(a, b)
