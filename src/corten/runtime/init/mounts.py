"""Mount plans carried out inside the new mount namespace, before the root is changed.

Every mount is made detached, dressed with its attributes, and only then put in place; its place is opened inside the container's
root (openat2, RESOLVE_IN_ROOT), so no link in a hostile root file system leads elsewhere. Where the kernel lacks the new mount
API, mount(2) goes through /proc/self/fd of the same safely opened place.
"""

import errno
import os
from collections.abc import Mapping

from corten.errors import EngineError, Unsupported
from corten.kernel import mount as m
from corten.kernel.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, is_directory, make_directory_in_root, make_file_in_root, openat2
from corten.runtime.init.copy_up import copy_tree
from corten.runtime.mount_options import Attributes, MountPlan

PROC_SUPER_MAGIC = 0x9FA0
# What may be covered inside /proc (lxcfs and the like do); anything else there would fool programs about their privileges.
_COVERABLE = frozenset(
    "/proc/" + name
    for name in (
        *("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"),
        *("sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"),
    )
)


def mount_all(plans: tuple[MountPlan, ...], root_fd: int, sources: Mapping[int, int]) -> None:
    """`sources` are detached mounts that the parent opened already, by the plan's place; they are closed here."""
    for index, plan in enumerate(plans):
        try:
            mount_one(plan, root_fd, sources.get(index, -1))
        except OSError as e:
            raise EngineError(f"error {plan}: {e}", reason="mount-failed") from e


def mount_one(plan: MountPlan, root_fd: int, source: int = -1) -> None:
    if plan.remount:
        _remount(plan, root_fd)
        return
    if source < 0:
        try:
            source = open_source(plan)
        except OSError as e:
            if e.errno != errno.ENOSYS:
                raise
            _mount_classic(plan, root_fd)
            return
    try:
        target = _open_target(plan, root_fd, is_directory(source))
        try:
            if plan.copy_up:
                copy_tree(target, source)
                _set(source, Attributes(plan.attributes.set & m.MOUNT_ATTR_RDONLY))
            m.move_mount(source, "", target, "")
        finally:
            os.close(target)
        _propagate(plan, source)
    finally:
        os.close(source)


def open_source(plan: MountPlan, userns_fd: int = -1) -> int:
    """A detached mount as planned, the caller's. `userns_fd` is the user namespace whose maps an id-mapped mount takes."""
    if not plan.bind:
        return _open_filesystem(plan)
    fd = m.open_tree(m.AT_FDCWD, plan.source, m.OPEN_TREE_CLONE | (m.AT_RECURSIVE if plan.bind == 2 else 0))
    try:
        _set(fd, plan.attributes)
        _set(fd, plan.recursive, m.AT_RECURSIVE)
        if plan.idmap:
            assert userns_fd >= 0, "an id-mapped mount is opened by the parent, which has the namespace"
            m.mount_setattr(fd, "", m.AT_RECURSIVE if plan.idmap == 2 else 0, attr_set=m.MOUNT_ATTR_IDMAP, userns_fd=userns_fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def _open_filesystem(plan: MountPlan) -> int:
    with m.FsContext(plan.type) as fs:
        fs.set_string("source", plan.source)
        for option in plan.fs_options:
            fs.set_option(option)
        fs.create()
        attributes = plan.attributes.set
        return fs.mount(attributes & ~m.MOUNT_ATTR_RDONLY if plan.copy_up else attributes)


def _set(fd: int, attributes: Attributes, flags: int = 0) -> None:
    if attributes.set or attributes.clear:
        m.mount_setattr(fd, "", flags, attr_set=attributes.set, attr_clr=attributes.clear)


def _propagate(plan: MountPlan, fd: int) -> None:
    for flag in plan.propagation:
        m.mount_setattr(fd, "", m.AT_RECURSIVE if flag & m.MS_REC else 0, propagation=flag & ~m.MS_REC)


def _open_target(plan: MountPlan, root_fd: int, directory: bool) -> int:
    """The place of the mount, made where missing."""
    if plan.type in ("proc", "sysfs") and not plan.bind:
        os.close(make_directory_in_root(root_fd, plan.destination))
        # Behind a link it would land where masked paths are not looked for.
        return openat2(root_fd, plan.destination, os.O_PATH | os.O_DIRECTORY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    make = make_directory_in_root if directory else make_file_in_root
    fd = make(root_fd, plan.destination)
    if m.statfs_type(fd) == PROC_SUPER_MAGIC and os.path.normpath(plan.destination) not in _COVERABLE | {"/proc"}:
        os.close(fd)
        raise EngineError(f'"{plan.destination}" cannot be mounted because it is inside /proc', reason="mount-in-proc")
    return fd


def _remount(plan: MountPlan, root_fd: int) -> None:
    fd = make_directory_in_root(root_fd, plan.destination)
    try:
        _set(fd, plan.attributes)
        _set(fd, plan.recursive, m.AT_RECURSIVE)
        _propagate(plan, fd)
    finally:
        os.close(fd)


_CLASSIC = (
    (m.MOUNT_ATTR_RDONLY, m.MS_RDONLY),
    (m.MOUNT_ATTR_NOSUID, m.MS_NOSUID),
    (m.MOUNT_ATTR_NODEV, m.MS_NODEV),
    (m.MOUNT_ATTR_NOEXEC, m.MS_NOEXEC),
    (m.MOUNT_ATTR_NOATIME, m.MS_NOATIME),
    (m.MOUNT_ATTR_STRICTATIME, m.MS_STRICTATIME),
    (m.MOUNT_ATTR_NODIRATIME, m.MS_NODIRATIME),
    (m.MOUNT_ATTR_NOSYMFOLLOW, m.MS_NOSYMFOLLOW),
)


def _mount_classic(plan: MountPlan, root_fd: int) -> None:
    """The same by mount(2), for kernels before 5.12 and sandboxes without the new calls."""
    if plan.idmap or plan.copy_up or plan.recursive != Attributes():
        raise Unsupported(f"{plan}: needs Linux 5.12", reason="old-kernel", hint="take the options rro, idmap and tmpcopyup away")
    flags = sum(classic for new, classic in _CLASSIC if plan.attributes.set & new)
    target = _open_target(plan, root_fd, not plan.bind or os.path.isdir(plan.source))
    place = f"/proc/self/fd/{target}"
    try:
        if plan.bind:
            m.mount(plan.source, place, None, m.MS_BIND | (m.MS_REC if plan.bind == 2 else 0))
        else:
            m.mount(plan.source, place, plan.type, flags, ",".join(plan.fs_options) or None)
    finally:
        os.close(target)
    target = _open_target(plan, root_fd, not plan.bind or os.path.isdir(plan.source))
    place = f"/proc/self/fd/{target}"
    try:
        if plan.bind and flags:
            m.mount(None, place, None, m.MS_BIND | m.MS_REMOUNT | flags)
        for propagation in plan.propagation:
            m.mount(None, place, None, propagation)
    finally:
        os.close(target)
