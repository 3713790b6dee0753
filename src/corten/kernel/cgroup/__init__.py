"""Control groups: limits, accounting, freezing and killing of all processes of a container; cgroup v1 and v2.

`open_cgroup` gives the object for a container's `linux.cgroupsPath`; nothing is touched until `create`. Who opens many passes
one `detect()` result along. Values in the OCI form go in (`values.Resources`), measured figures come out (`values.Stats`).
"""

import os

from corten.kernel.cgroup.hierarchies import Hierarchies, detect, detect_version
from corten.kernel.cgroup.v1 import CgroupV1
from corten.kernel.cgroup.v2 import CgroupV2
from corten.kernel.cgroup.values import Cgroup, IoEntry, Resources, Stats

__all__ = ["Cgroup", "Hierarchies", "IoEntry", "Resources", "Stats", "detect", "detect_version", "enter", "open_cgroup"]


def open_cgroup(manager: str, path: str, hierarchies: Hierarchies | None = None) -> Cgroup:
    """The cgroup that `path` names (need not exist yet). `manager` is "cgroupfs" or "systemd" (path `slice:prefix:name`).

    An absolute path counts from the hierarchy's mount, a relative one lies beside the caller's own cgroup.
    Raises ValueError for an unknown manager or a malformed systemd path, OSError where no cgroup file system is mounted.
    """
    found = hierarchies or detect()
    if manager == "cgroupfs":
        return CgroupV2(found, path) if found.version == 2 else CgroupV1(found, path)
    if manager == "systemd":
        from corten.kernel.cgroup.systemd import CgroupSystemd  # seldom used: not in every monitor's memory

        return CgroupSystemd(found, path)
    raise ValueError(f"unknown cgroup manager {manager!r}: cgroupfs or systemd")


def enter(version: int, fds: list[int]) -> None:
    """Puts the calling, single-threaded process into the cgroup whose `entry_fds` these are; call it in the forked child.

    On v1 this writes to `tasks`, the only move that skips the kernel's global thread-group lock (the lock costs up to 10 ms
    after a quiet time). The cgroup namespace must be unshared *after* this, or its root will be the parent's cgroup.
    Not needed where the process was born inside by CLONE_INTO_CGROUP.
    """
    if version == 1:
        for fd in fds:
            os.write(fd, b"0")
        return
    procs = os.open("cgroup.procs", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fds[0])
    try:
        os.write(procs, b"0")
    finally:
        os.close(procs)
