"""`tmpcopyup`: what the image has at the mount point is copied into the fresh file system before it covers it."""

import os
import stat

from corten.kernel.inode import Inode


def copy_tree(source: int, target: int) -> None:
    """Copy the directory `source` (any fd, O_PATH too) into the directory `target`: owners, modes, times, links, devices, xattrs.

    Names are never followed: each is opened relative to its directory with O_NOFOLLOW.
    """
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    into = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
    try:
        _copy_directory(directory, into)
    finally:
        os.close(directory)
        os.close(into)


def _copy_directory(source: int, target: int) -> None:
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _copy_subdirectory(name, source, target)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(name, source, target)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        with Inode(name, target, stat.S_IFMT(status.st_mode)) as made:
            made.chown(status.st_uid, status.st_gid)
            if not stat.S_ISLNK(status.st_mode):
                made.chmod(stat.S_IMODE(status.st_mode))
            made.utime(status.st_atime_ns, status.st_mtime_ns)
    _copy_xattrs(source, target)


def _copy_subdirectory(name: str, source: int, target: int) -> None:
    os.mkdir(name, 0o700, dir_fd=target)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    below, into = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
    try:
        _copy_directory(below, into)
    finally:
        os.close(below)
        os.close(into)


def _copy_file(name: str, source: int, target: int) -> None:
    old = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=source)
    new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    try:
        while os.sendfile(new, old, None, 1 << 24):
            pass
        _copy_xattrs(old, new)
    finally:
        os.close(old)
        os.close(new)


def _copy_xattrs(source: int, target: int) -> None:
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
