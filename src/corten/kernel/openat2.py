"""openat2(2), and walking an untrusted tree with it.

Everything below takes an fd of the tree's root; a symlink, however placed or exchanged while we look, cannot lead out of it.
"""

import ctypes
import errno
import os
import stat

from corten.kernel.libc import check, syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_SYS_OPENAT2 = 437  # Linux 5.6
_RETRIES = 128
_LINKS = 40  # as many as the kernel follows (MAXSYMLINKS)


def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """An fd, always close-on-exec. A path that is renamed under our feet (EAGAIN) is tried again."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path) + b"\0"
    for _ in range(_RETRIES):
        fd = syscall(_SYS_OPENAT2, dirfd, name, how, 24)
        if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return check(fd, "openat2", path)


def open_in_root(root_fd: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` as a process whose root directory is `root_fd` would, magic links refused."""
    return openat2(root_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def split_clean(path: str) -> list[str]:
    """The components of a path once `.`, `..` and doubled slashes are worked out; `..` stops at the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def make_directory_in_root(root_fd: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH fd of the directory `path`, made with all its parents where missing (mkdir -p inside a root).

    A dangling symlink on the way is followed inside the root and its target made, as runc does.
    """
    return _make_directory(root_fd, split_clean(path), mode, _LINKS)


def _make_directory(root_fd: int, parts: list[str], mode: int, links: int) -> int:
    try:
        return open_in_root(root_fd, "/".join(parts) or ".", os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        parent = _make_directory(root_fd, parts[:-1], mode, links)
    try:
        target = _dangling_target(parent, parts)
        if target is not None and links:
            return _make_directory(root_fd, target, mode, links - 1)
        try:
            os.mkdir(parts[-1], mode, dir_fd=parent)
        except FileExistsError:  # somebody was faster
            pass
        return openat2(parent, parts[-1], os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, 0, RESOLVE_BENEATH)
    finally:
        os.close(parent)


def _dangling_target(parent: int, parts: list[str]) -> list[str] | None:
    """Where the symlink `parts` (in the directory `parent`) points inside the root; None if it is none."""
    try:
        target = os.readlink(parts[-1], dir_fd=parent)
    except OSError as e:
        if e.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise
    return split_clean(target if target.startswith("/") else "/".join([*parts[:-1], target]))


def make_file_in_root(root_fd: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH fd of `path`, which is made as an empty file (with its parents) where missing."""
    return _make_file(root_fd, split_clean(path), mode, _LINKS)


def _make_file(root_fd: int, parts: list[str], mode: int, links: int) -> int:
    try:
        return open_in_root(root_fd, "/".join(parts) or ".", os.O_PATH)
    except FileNotFoundError:
        parent = _make_directory(root_fd, parts[:-1], 0o755, links)
    try:
        target = _dangling_target(parent, parts)
        if target is not None and links:
            return _make_file(root_fd, target, mode, links - 1)
        os.close(openat2(parent, parts[-1], os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, mode, RESOLVE_BENEATH))
        return openat2(parent, parts[-1], os.O_PATH | os.O_NOFOLLOW, 0, RESOLVE_BENEATH)
    finally:
        os.close(parent)


def is_directory(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)
