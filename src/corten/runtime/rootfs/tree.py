"""The root file system: put together, made the root of the mount namespace, and the host's let go."""

import errno
import os

from corten.errors import EngineError
from corten.kernel import mount as m
from corten.kernel.overlay import overlay, parse_overlay_options
from corten.runtime.config.mount_options import Attributes
from corten.runtime.values import RootMount

_DEFAULT_PROPAGATION = m.MS_SLAVE | m.MS_REC


def separate_from_host(propagation: int | None, rootfs: str) -> None:
    """Stop mounts made here from reaching the host. `propagation` is linux.rootfsPropagation as MS_* flags.

    A shared root stays tied to the host on purpose, but the mount that the root lies on must not carry ours out.
    """
    m.mount(None, "/", None, _DEFAULT_PROPAGATION if propagation is None else propagation)
    if propagation is not None and propagation & m.MS_SHARED:
        points = [info.mount_point for info in m.read_mountinfo() if _is_below(rootfs, info.mount_point)]
        m.mount(None, max(points, key=len), None, m.MS_PRIVATE)


def _is_below(path: str, point: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")


def open_root(root_mounts: tuple[RootMount, ...], rootfs: str, *, own_namespace: bool = False) -> int:
    """The root's tree as a detached mount, the caller's; `rootfs` itself where no mount is asked for. See `overlay` for `own_namespace`."""
    if not root_mounts:
        return m.open_tree(m.AT_FDCWD, rootfs, m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
    mount = root_mounts[0]
    if mount["type"] == "bind" or "bind" in mount["options"] or "rbind" in mount["options"]:
        return m.open_tree(m.AT_FDCWD, mount["source"], m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
    if mount["type"] == "overlay":
        return overlay(parse_overlay_options(mount["options"]), own_namespace=own_namespace)
    with m.FsContext(mount["type"]) as fs:
        fs.set_string("source", mount["source"])
        for option in mount["options"]:
            if option not in ("rw", "ro", "defaults"):
                fs.set_option(option)
        fs.create()
        return fs.mount()


def attach_root(tree: int, rootfs: str, propagation: int | None, *, hooked: bool = False) -> int:
    """Mount the tree in this namespace: the fd itself is then the root below which all else is resolved.

    It goes on top of the host's root, a place that a user namespace's root can always reach, where `rootfs` may lie behind folders
    closed to it. A shared root would show that mount to the host, so then it is `rootfs`; with hooks (`hooked`), too: they look for the
    root where the bundle says that it is.
    """
    shared = propagation is not None and propagation & m.MS_SHARED
    m.move_mount(tree, "", m.AT_FDCWD, rootfs if shared or hooked else "/")
    return tree


def mount_root(root_mounts: tuple[RootMount, ...], rootfs: str, propagation: int | None, *, hooked: bool = False) -> int:
    """`open_root` and `attach_root`, in the container's mount namespace."""
    try:
        tree = open_root(root_mounts, rootfs, own_namespace=True)
    except OSError as e:
        raise EngineError(f"error mounting the root file system: {e}", reason="mount-failed") from e
    return attach_root(tree, rootfs, propagation, hooked=hooked)


def pivot(root_fd: int) -> None:
    """Make `root_fd` the root and forget the old one: pivot_root(".", ".") stacks the old root upon the new, which is then unmounted."""
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root_fd)
    m.pivot_root(".", ".")
    os.fchdir(old)
    m.mount(None, ".", None, m.MS_SLAVE | m.MS_REC)  # so that the unmount does not reach the host
    m.umount2(".", m.MNT_DETACH)
    os.close(old)
    os.chdir("/")


def move_and_chroot(root_fd: int) -> None:
    """Where pivot_root cannot work (the host's root is the initramfs): our tree over the host's. What it hides stays mounted."""
    os.fchdir(root_fd)
    try:
        m.mount(".", "/", None, m.MS_MOVE)
    except OSError as e:
        if e.errno != errno.ELOOP:  # ELOOP: it was attached there
            raise
    os.chroot(".")
    os.chdir("/")


def dress_root(attributes: Attributes, propagation: int | None) -> None:
    """After the change of root: read-only, and its propagation as asked for."""
    if propagation is not None:
        m.mount(None, "/", None, propagation)
    if attributes.set:
        m.set_attributes(m.AT_FDCWD, "/", attributes.set)
