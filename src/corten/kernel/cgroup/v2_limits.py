"""OCI `linux.resources` as the list of files to write on cgroup v2. Pure: values in, values out.

Docker's API and the OCI spec speak v1's language; the conversions are the OCI runtimes' (runc 1.3, crun 1.2x), so that a
container gets the same weights under any of them. Source: Documentation/admin-guide/cgroup-v2.
"""

import math
from collections.abc import Iterator
from typing import Any

from corten.kernel.cgroup.values import Resources

Write = tuple[str, str, str]
"""(controller, file, value); the controller must be enabled in the parent. "" = a file every cgroup has."""

_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


def v2_writes(resources: Resources) -> list[Write]:
    """Everything `resources` asks for but devices. What v2 does not have (swappiness, kernel memory, realtime) is left out.

    Raises ValueError for contradictions (swap without memory, a unified key that is no file name).
    """
    return [
        *_memory(resources.get("memory") or {}),
        *_cpu(resources.get("cpu") or {}),
        *_pids(resources.get("pids") or {}),
        *_io(resources.get("blockIO") or {}),
        *_huge_pages(resources.get("hugepageLimits") or []),
        *_rdma(resources.get("rdma") or {}),
        *_unified(resources.get("unified") or {}),
    ]


def cpu_weight(shares: int) -> int:
    """v1 shares (2..262144, default 1024) as v2 weight (1..10000, default 100), on the curve through these three points."""
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """blkio weight (10..1000) as io.weight (1..10000), linearly."""
    return 1 + (weight - 10) * 9999 // 990


def swap_max(limit: int, swap: int) -> str | None:
    """memory.swap.max from v1's memory and memory+swap limits; None = leave alone."""
    if swap == -1 or (swap == 0 and limit == -1):
        return "max"
    if swap == 0:
        return None
    if limit <= 0:
        raise ValueError("unable to set swap limit without memory limit")
    if swap < limit:
        raise ValueError("memory+swap limit must not be below the memory limit")
    return str(swap - limit)


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _memory(memory: dict[str, Any]) -> Iterator[Write]:
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    swap_value = swap_max(limit, swap)
    if swap_value is not None:
        yield "memory", "memory.swap.max", swap_value
    if limit:
        yield "memory", "memory.max", _or_max(limit)
    if memory.get("reservation"):
        yield "memory", "memory.low", _or_max(memory["reservation"])


def _cpu(cpu: dict[str, Any]) -> Iterator[Write]:
    if cpu.get("idle") is not None:
        yield "cpu", "cpu.idle", str(cpu["idle"])
    if cpu.get("shares"):
        yield "cpu", "cpu.weight", str(cpu_weight(cpu["shares"]))
    quota, period = cpu.get("quota") or 0, cpu.get("period") or 0
    if quota or period:
        allowed = str(quota) if quota > 0 else "max"
        yield "cpu", "cpu.max", f"{allowed} {period or 100000}"
    if cpu.get("burst"):
        yield "cpu", "cpu.max.burst", str(cpu["burst"])
    for key, file in (("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")):
        if cpu.get(key):
            yield "cpuset", file, cpu[key]


def _pids(pids: dict[str, Any]) -> Iterator[Write]:
    if pids.get("limit"):
        yield "pids", "pids.max", _or_max(pids["limit"])


def _io(block_io: dict[str, Any]) -> Iterator[Write]:
    if block_io.get("weight"):
        yield "io", "io.weight", str(io_weight(block_io["weight"]))
    for device in block_io.get("weightDevice") or []:
        if device.get("weight"):
            yield "io", "io.weight", f"{device['major']}:{device['minor']} {io_weight(device['weight'])}"
    for key, word in _THROTTLES:
        for device in block_io.get(key) or []:
            yield "io", "io.max", f"{device['major']}:{device['minor']} {word}={device['rate'] or 'max'}"


def _huge_pages(limits: list[dict[str, Any]]) -> Iterator[Write]:
    for entry in limits:
        yield "hugetlb", f"hugetlb.{entry['pageSize']}.max", str(entry["limit"])
        yield "hugetlb", f"hugetlb.{entry['pageSize']}.rsvd.max", str(entry["limit"])


def _rdma(rdma: dict[str, Any]) -> Iterator[Write]:
    for device, limits in rdma.items():
        words = [
            f"{word}={limits[key]}"
            for key, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
            if limits.get(key) is not None
        ]
        yield "rdma", "rdma.max", " ".join([device, *words])


def _unified(unified: dict[str, str]) -> Iterator[Write]:
    for file, value in unified.items():
        if "/" in file or "." not in file:
            raise ValueError(f"unified resource {file!r} must be a file name such as memory.high")
        controller = file.partition(".")[0]
        for line in value.splitlines():
            yield "" if controller == "cgroup" else controller, file, line
