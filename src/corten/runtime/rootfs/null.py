"""The container's null device. It covers masked files, and stands for the host's as stdin, stdout and stderr.

The host's own node must not get in: who is root in the container could change its mode, owner and times. Where a user namespace
leaves nothing but a bind of the host's node, it is bound read-only, which lets programs read and write all the same.
"""

import errno
import os
import stat

from corten.errors import EngineError
from corten.kernel import mount as m
from corten.kernel.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_NULL = os.makedev(1, 3)


def is_null(fd: int) -> bool:
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL


def clone_null(root_fd: int) -> int:
    """A detached mount of the container's null device; of a new node where its /dev/null is something else (CVE-2025-31133)."""
    null = _own_node(root_fd)
    if null >= 0:
        try:
            return m.open_tree(null, "", m.OPEN_TREE_CLONE)
        finally:
            os.close(null)
    try:
        return _clone_new_node(root_fd)
    except PermissionError as e:
        raise EngineError(f"/dev/null of the container is not the null device, and no other can be made: {e}", reason="bad-dev-null") from e


def _own_node(root_fd: int) -> int:
    """O_PATH; -1 where it is no null device."""
    try:
        fd = openat2(root_fd, "dev/null", os.O_PATH | os.O_NOFOLLOW, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return -1
        raise
    if is_null(fd):
        return fd
    os.close(fd)
    return -1


def _clone_new_node(root_fd: int) -> int:
    """Before Linux 6.15 only what is mounted in this namespace can be cloned: the tmpfs lies upon the root meanwhile."""
    tmpfs = _tmpfs_with_null()
    try:
        m.move_mount(tmpfs, "", root_fd, "")
        try:
            return m.open_tree(tmpfs, "null", m.OPEN_TREE_CLONE)
        finally:
            m.umount2(f"/proc/self/fd/{tmpfs}", m.MNT_DETACH)
    finally:
        os.close(tmpfs)


def _tmpfs_with_null() -> int:
    """A detached tmpfs with the node `null`. PermissionError in a user namespace, and without CAP_MKNOD."""
    with m.FsContext("tmpfs") as fs:
        fs.set_string("nr_inodes", "2")
        fs.create()
        tmpfs = fs.mount(m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NOEXEC)
    try:
        os.mknod("null", stat.S_IFCHR | 0o666, _NULL, dir_fd=tmpfs)
    except OSError:
        os.close(tmpfs)
        raise
    return tmpfs


def reopen_null() -> None:
    """Of 0, 1 and 2, those that are a null device become the container's own. To be called where its root is this process' root."""
    replaced = [fd for fd in (0, 1, 2) if is_null(fd)]
    null = _open_null() if replaced else -1
    if null < 0:
        return
    for fd in replaced:
        os.dup2(null, fd)
    os.close(null)


def _open_null() -> int:
    """-1 where the container has no null device and a user namespace lets none be made: the host's root has no id in there.

    Nothing is awaited, whatever the container has put in that place.
    """
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # no such file, a link, a folder, a socket: a new node instead
        null = -1
    if null >= 0:
        if is_null(null):
            os.set_blocking(null, True)
            return null
        os.close(null)
    try:
        tmpfs = _tmpfs_with_null()
    except PermissionError:
        return -1
    try:
        return os.open("null", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tmpfs)
    finally:
        os.close(tmpfs)
