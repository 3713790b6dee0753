"""Which limits can be set on this machine, found by making a cgroup and looking at the files the kernel puts into it."""

import os

from corten.kernel.cgroup.hierarchies import Hierarchies
from corten.kernel.cgroup.v1 import CgroupV1
from corten.kernel.cgroup.v2 import CgroupV2

_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "reservation": ("memory.soft_limit_in_bytes", "memory.low"),
    "swappiness": ("memory.swappiness",),
    "oom-kill-disable": ("memory.oom_control",),
    "pids": ("pids.max",),
    "cpu-shares": ("cpu.shares", "cpu.weight"),
    "cpu-quota": ("cpu.cfs_quota_us", "cpu.max"),
    "cpu-realtime": ("cpu.rt_runtime_us",),
    "cpuset": ("cpuset.cpus",),
    "blkio-weight": ("blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight"),
    "blkio-weight-device": ("blkio.weight_device", "blkio.bfq.weight_device", "io.weight", "io.bfq.weight"),
    "blkio-throttle": ("blkio.throttle.read_bps_device", "io.max"),
}
LIMITS = frozenset(_FILES)
"""Every name that `supported_limits` may give."""


def supported_limits(hierarchies: Hierarchies) -> frozenset[str]:
    """Those of LIMITS that can be had. The trial cgroup is gone when this returns. OSError where no cgroup can be made."""
    parent = f"/corten-probe-{os.getpid()}"
    made = CgroupV2(hierarchies, f"{parent}/x") if hierarchies.version == 2 else CgroupV1(hierarchies, f"{parent}/x")
    made.create({"pids": {"limit": -1}} if hierarchies.version == 2 or "pids" in hierarchies.roots else {})
    try:
        files = {name for directory in made.paths().values() for name in os.listdir(directory)}
    finally:
        made.delete()
        for root in hierarchies.roots.values():
            _remove_if_there(root + parent)
    return frozenset(limit for limit, names in _FILES.items() if files.intersection(names))


def _remove_if_there(directory: str) -> None:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass
