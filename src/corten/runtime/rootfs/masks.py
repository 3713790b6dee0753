"""linux.maskedPaths and linux.readonlyPaths: what of /proc and /sys a container must not read, or not write."""

import errno
import os

from corten.kernel import mount as m
from corten.kernel.openat2 import is_directory, open_in_root
from corten.runtime.rootfs.null import clone_null


def mask_paths(paths: list[str], root_fd: int) -> None:
    """Files get the container's /dev/null over them, read-only; directories one empty read-only tmpfs.

    What does not exist is passed over.
    """
    covers: dict[bool, int] = {}
    for path in paths:
        target = _open(path, root_fd)
        if target < 0:
            continue
        directory = is_directory(target)
        if directory not in covers:
            # Once in place it is a mount of this namespace, of which later ones are copies (before 6.15 a detached one has none).
            covers[directory] = _empty_directory() if directory else clone_null(root_fd)
            m.move_mount(covers[directory], "", target, "")
            m.set_attributes(covers[directory], "", m.MOUNT_ATTR_RDONLY)
        else:
            copy = m.open_tree(covers[directory], "", m.OPEN_TREE_CLONE)
            m.move_mount(copy, "", target, "")
            os.close(copy)
        os.close(target)
    for fd in covers.values():
        os.close(fd)


def make_paths_readonly(paths: list[str], root_fd: int) -> None:
    """Each becomes a read-only bind mount of itself, with all below it (before Linux 5.12 without what is mounted below)."""
    for path in paths:
        target = _open(path, root_fd)
        if target < 0:
            continue
        tree = m.open_tree(target, "", m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
        if m.has_mount_setattr():
            m.mount_setattr(tree, "", m.AT_RECURSIVE, m.MountAttr(attr_set=m.MOUNT_ATTR_RDONLY))
        m.move_mount(tree, "", target, "")
        if not m.has_mount_setattr():
            m.set_attributes(tree, "", m.MOUNT_ATTR_RDONLY)
        os.close(tree)
        os.close(target)


def _open(path: str, root_fd: int) -> int:
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1
        raise


def _empty_directory() -> int:
    with m.FsContext("tmpfs") as fs:
        fs.set_string("size", "0")
        fs.set_string("nr_inodes", "1")
        fs.create()
        return fs.mount(m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV | m.MOUNT_ATTR_NOEXEC)
