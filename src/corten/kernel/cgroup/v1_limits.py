"""OCI `linux.resources` as the list of files to write on cgroup v1. Pure: values in, values out.

Each entry is (controller, file, value), in an order that the kernel accepts on a new cgroup.
Source: the OCI runtime-spec's config-linux page and the kernel's Documentation/admin-guide/cgroup-v1.
"""

from collections.abc import Iterator
from typing import Any

from corten.kernel.cgroup.values import Resources

Write = tuple[str, str, str]

_LEAST_SHARES, _MOST_SHARES = 2, 1 << 18  # kernel/sched: MIN_SHARES, MAX_SHARES
_CPU = (("shares", "cpu.shares"), ("realtimePeriod", "cpu.rt_period_us"), ("realtimeRuntime", "cpu.rt_runtime_us"), ("idle", "cpu.idle"))
_BANDWIDTH = (("burst", "cpu.cfs_burst_us"), ("period", "cpu.cfs_period_us"), ("quota", "cpu.cfs_quota_us"))
_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)


def v1_writes(resources: Resources) -> list[Write]:
    """Everything `resources` asks for but devices (see `devices`). Raises ValueError for what v1 cannot do."""
    if resources.get("unified"):
        raise ValueError("linux.resources.unified needs cgroup v2, and this machine has v1")
    return [
        *_memory(resources.get("memory") or {}),
        *_cpu(resources.get("cpu") or {}),
        *_pids(resources.get("pids") or {}),
        *_block_io(resources.get("blockIO") or {}),
        *_huge_pages(resources.get("hugepageLimits") or []),
        *_network(resources.get("network") or {}),
        *_rdma(resources.get("rdma") or {}),
    ]


def _memory(memory: dict[str, Any]) -> Iterator[Write]:
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    if limit == -1 and swap == 0:
        swap = -1  # without this an old memsw limit would stay below the new, unlimited memory limit
    if limit:
        yield "memory", "memory.limit_in_bytes", str(limit)
    if swap:
        yield "memory", "memory.memsw.limit_in_bytes", str(swap)
    if memory.get("reservation"):
        yield "memory", "memory.soft_limit_in_bytes", str(memory["reservation"])
    if memory.get("swappiness") is not None:
        yield "memory", "memory.swappiness", str(memory["swappiness"])
    if memory.get("kernelTCP"):
        yield "memory", "memory.kmem.tcp.limit_in_bytes", str(memory["kernelTCP"])
    if memory.get("disableOOMKiller"):
        yield "memory", "memory.oom_control", "1"


def _cpu(cpu: dict[str, Any]) -> Iterator[Write]:
    _check_shares(cpu.get("shares") or _LEAST_SHARES)
    for key, file in (*_CPU, *_BANDWIDTH):
        if cpu.get(key):
            yield "cpu", file, str(cpu[key])
    for key, file in (("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")):
        if cpu.get(key):
            yield "cpuset", file, cpu[key]


def _check_shares(shares: int) -> None:
    """The kernel takes any number and keeps the nearest that it can have: runc says so."""
    if shares < _LEAST_SHARES:
        raise ValueError(f"the minimum allowed cpu-shares is {_LEAST_SHARES}")
    if shares > _MOST_SHARES:
        raise ValueError(f"the maximum allowed cpu-shares is {_MOST_SHARES}")


def _pids(pids: dict[str, Any]) -> Iterator[Write]:
    limit = pids.get("limit") or 0
    if limit:
        yield "pids", "pids.max", str(limit) if limit > 0 else "max"


def _block_io(block_io: dict[str, Any]) -> Iterator[Write]:
    if block_io.get("weight"):
        yield "blkio", "blkio.weight", str(block_io["weight"])
    if block_io.get("leafWeight"):
        yield "blkio", "blkio.leaf_weight", str(block_io["leafWeight"])
    for device in block_io.get("weightDevice") or []:
        number = f"{device['major']}:{device['minor']}"
        if device.get("weight"):
            yield "blkio", "blkio.weight_device", f"{number} {device['weight']}"
        if device.get("leafWeight"):
            yield "blkio", "blkio.leaf_weight_device", f"{number} {device['leafWeight']}"
    for key, file in _THROTTLES:
        for device in block_io.get(key) or []:
            yield "blkio", file, f"{device['major']}:{device['minor']} {device['rate']}"


def _huge_pages(limits: list[dict[str, Any]]) -> Iterator[Write]:
    for entry in limits:
        yield "hugetlb", f"hugetlb.{entry['pageSize']}.limit_in_bytes", str(entry["limit"])


def _network(network: dict[str, Any]) -> Iterator[Write]:
    if network.get("classID"):
        yield "net_cls", "net_cls.classid", str(network["classID"])
    for entry in network.get("priorities") or []:
        yield "net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}"


def _rdma(rdma: dict[str, Any]) -> Iterator[Write]:
    for device, limits in rdma.items():
        words = [
            f"{word}={limits[key]}"
            for key, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
            if limits.get(key) is not None
        ]
        yield "rdma", "rdma.max", " ".join([device, *words])
