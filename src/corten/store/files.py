"""Files and directories that must be whole whatever happens: atomic replacement, durable names, removal of any tree, free space."""

import errno
import os
import secrets
from typing import Final

from corten.errors import EngineError, Unavailable
from corten.kernel.libc import libc

_FLAT_DEPTH = 200
SCARCE: Final = 16 << 20
"""With less left on the disk, files are deleted before their records: forgetting takes room itself."""


def write_file(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by a file holding `data`: after a crash at any point it is the old one or the new one."""
    temporary = f"{path}.{secrets.token_hex(6)}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path) or ".")


def write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: str) -> None:
    """Make renames and new names in `path` survive a power failure."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def boot_id() -> str:
    """Changes with every boot: what was written in another boot and not flushed may be lost."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def free_bytes(path: str) -> int:
    """What an unprivileged writer may still use of the file system at `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def disk_error(error: OSError, doing: str) -> EngineError:
    """What to tell the user when the disk refuses; anything but a full or read-only disk stays a plain EngineError."""
    text = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(f"{doing}: {text.lower()}", reason="disk-full", hint="free disk space, e.g. by `corten system prune`")
    if error.errno == errno.EROFS:
        return Unavailable(f"{doing}: {text.lower()}", reason="disk-read-only")
    return EngineError(f"{doing}: {error}", reason="disk-error")


def release_memory() -> None:
    """Give freed memory back to the kernel (glibc keeps it): after a transfer, tens of MB that an idle daemon does not need."""
    trim = getattr(libc, "malloc_trim", None)
    if trim is not None:
        trim(0)


def remove_tree(path: str) -> None:
    """Remove a file or a tree of any depth, size and permission, never following a link; a missing one is fine.

    Subdirectories deeper than _FLAT_DEPTH are first moved up beside `path`, so that neither fds nor the stack run out.
    """
    parent, name = os.path.split(path)
    top = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pending = [name]
        while pending:
            _remove(top, pending.pop(), top, 0, pending)
    except FileNotFoundError:
        if os.access(path, os.F_OK, follow_symlinks=False):
            raise
    finally:
        os.close(top)


def _remove(at: int, name: str, top: int, depth: int, pending: list[str]) -> None:
    try:
        os.unlink(name, dir_fd=at)
        return
    except IsADirectoryError:
        pass
    if depth > _FLAT_DEPTH:
        moved = f".deep-{secrets.token_hex(8)}"
        os.rename(name, moved, src_dir_fd=at, dst_dir_fd=top)
        pending.append(moved)
        return
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        for child in os.listdir(fd):
            _remove(fd, child, top, depth + 1, pending)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=at)
