"""Mount plans carried out inside the new mount namespace, before the root is changed.

The place of each is opened inside the container's root (openat2, RESOLVE_IN_ROOT), so no link in a hostile root file system leads
elsewhere. A bind is cloned detached, dressed with its attributes, and only then put in place; a new file system is mounted by
mount(2) on the working directory, which is the opened place: 4 calls where the new API takes 12.
"""

import os
from collections.abc import Mapping

from corten.errors import EngineError, Unsupported
from corten.kernel import mount as m
from corten.kernel.openat2 import (
    RESOLVE_IN_ROOT,
    RESOLVE_NO_SYMLINKS,
    is_directory,
    make_directory_in_root,
    make_file_in_root,
    open_in_root,
    openat2,
)
from corten.runtime.config.mount_options import Attributes, MountPlan
from corten.runtime.rootfs.copy_up import copy_tree

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
    """`source` is a detached mount that is already open, or -1; it is closed here."""
    if plan.remount:
        _remount(plan, root_fd)
    elif source >= 0 or plan.bind or plan.copy_up or any("," in option for option in plan.fs_options):
        _mount_detached(plan, root_fd, source)
    else:
        _mount_filesystem(plan, root_fd)


def finish_readonly(plans: tuple[MountPlan, ...], root_fd: int) -> None:
    """A read-only tmpfs stays writable until all mount points and devices in it are made."""
    for plan in plans:
        if is_late_readonly(plan):
            fd = open_in_root(root_fd, plan.destination, os.O_PATH)
            m.set_attributes(fd, "", m.MOUNT_ATTR_RDONLY)
            os.close(fd)


def is_late_readonly(plan: MountPlan) -> bool:
    return plan.type == "tmpfs" and not plan.bind and bool(plan.attributes.set & m.MOUNT_ATTR_RDONLY)


def _mount_filesystem(plan: MountPlan, root_fd: int) -> None:
    flags = _classic_flags(plan)
    target = _open_target(plan, root_fd, True)
    os.fchdir(target)
    os.close(target)
    m.mount(plan.source, ".", plan.type, flags, ",".join(plan.fs_options) or None)
    if plan.propagation:
        target = _open_target(plan, root_fd, True)
        _propagate(plan, target)
        os.close(target)


def _mount_detached(plan: MountPlan, root_fd: int, source: int) -> None:
    if source < 0:
        source = open_source(plan)
    try:
        target = _open_target(plan, root_fd, is_directory(source))
        try:
            if plan.copy_up:
                copy_tree(target, source)
            m.move_mount(source, "", target, "")
        finally:
            os.close(target)
        if plan.bind and not m.has_mount_setattr():
            _set_one(source, plan.attributes)
        _propagate(plan, source)
    finally:
        os.close(source)


def open_source(plan: MountPlan, userns_fd: int = -1) -> int:
    """A detached mount as planned, the caller's. `userns_fd` is the user namespace whose maps an id-mapped mount takes.

    Before Linux 5.12 a bind gets its attributes only where it is attached.
    """
    if not plan.bind:
        return _open_filesystem(plan)
    if not m.has_mount_setattr():
        _refuse_newer(plan)
    fd = m.open_tree(m.AT_FDCWD, plan.source, m.OPEN_TREE_CLONE | (m.AT_RECURSIVE if plan.bind == 2 else 0))
    if not m.has_mount_setattr():
        return fd
    try:
        _set(fd, plan.attributes)
        _set(fd, plan.recursive, m.AT_RECURSIVE)
        if plan.idmap:
            assert userns_fd >= 0, "an id-mapped mount is opened by the parent, which has the namespace"
            m.mount_setattr(fd, "", m.AT_RECURSIVE if plan.idmap == 2 else 0, m.MountAttr(attr_set=m.MOUNT_ATTR_IDMAP, userns_fd=userns_fd))
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
        return fs.mount(plan.attributes.set & ~m.MOUNT_ATTR_RDONLY if is_late_readonly(plan) else plan.attributes.set)


def _set(fd: int, attributes: Attributes, flags: int = 0) -> None:
    if attributes.set or attributes.clear:
        m.mount_setattr(fd, "", flags, m.MountAttr(attr_set=attributes.set, attr_clr=attributes.clear))


def _set_one(fd: int, attributes: Attributes) -> None:
    if attributes.set or attributes.clear:
        m.set_attributes(fd, "", attributes.set, attributes.clear)


def _refuse_newer(plan: MountPlan) -> None:
    if plan.idmap or plan.recursive != Attributes():
        raise Unsupported(f"{plan}: needs Linux 5.12", reason="old-kernel", hint="take the options rro and idmap away")


def _propagate(plan: MountPlan, fd: int) -> None:
    for flag in plan.propagation:
        m.set_propagation(fd, flag)


def _open_target(plan: MountPlan, root_fd: int, directory: bool) -> int:
    """The place of the mount, made where missing."""
    if plan.type in ("proc", "sysfs") and not plan.bind:
        return _open_plain_directory(plan.destination, root_fd)
    make = make_directory_in_root if directory else make_file_in_root
    fd = make(root_fd, plan.destination)
    if m.statfs_type(fd) == PROC_SUPER_MAGIC and os.path.normpath(plan.destination) not in _COVERABLE:
        os.close(fd)
        raise EngineError(f'"{plan.destination}" cannot be mounted because it is inside /proc', reason="mount-in-proc")
    return fd


def _open_plain_directory(path: str, root_fd: int) -> int:
    """Without any link on the way: behind one, /proc would lie where masked paths are not looked for (CVE-2019-19921)."""
    flags, resolve = os.O_PATH | os.O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
    try:
        return openat2(root_fd, path, flags, 0, resolve)
    except FileNotFoundError:
        os.close(make_directory_in_root(root_fd, path))
        return openat2(root_fd, path, flags, 0, resolve)


def _remount(plan: MountPlan, root_fd: int) -> None:
    if not m.has_mount_setattr():
        _refuse_newer(plan)
    fd = make_directory_in_root(root_fd, plan.destination)
    try:
        _set_one(fd, plan.attributes)
        _set(fd, plan.recursive, m.AT_RECURSIVE)
        _propagate(plan, fd)
    finally:
        os.close(fd)


def _classic_flags(plan: MountPlan) -> int:
    wanted = plan.attributes.set & ~(m.MOUNT_ATTR_RDONLY if is_late_readonly(plan) else 0)
    return sum(classic for new, classic in m.CLASSIC_FLAGS if wanted & new)
