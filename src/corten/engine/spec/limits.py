"""Limits that this machine cannot set: dropped with Docker's warning, since a container without one is better than none."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from corten.engine.values.container import Resources


class _Limit(NamedTuple):
    """`needs` is a name of `kernel.cgroup.support.LIMITS`; `fields` of Resources go back to their defaults where it is missing."""

    needs: str
    fields: tuple[str, ...]
    warning: str


def _no(what: str, discarded: str, *, mounted: str = " or the cgroup is not mounted") -> str:
    return f"Your kernel does not support {what}{mounted}. {discarded} discarded."


_MEMORY = ("memory", "memory_swap", "memory_reservation", "memory_swappiness")
_LIMITS = (
    _Limit("memory", _MEMORY, _no("memory limit capabilities", "Limitation")),
    _Limit("swappiness", ("memory_swappiness",), _no("memory swappiness capabilities", "Memory swappiness")),
    _Limit("reservation", ("memory_reservation",), _no("memory soft limit capabilities", "Limitation")),
    _Limit("pids", ("pids_limit",), _no("PIDs limit capabilities", "PIDs limit")),
    _Limit("cpu-shares", ("cpu_shares",), _no("CPU shares", "Shares")),
    _Limit("cpu-quota", ("cpu_period", "cpu_quota"), _no("CPU CFS scheduler", "CPU period/quota", mounted="")),
    _Limit("cpuset", ("cpuset_cpus", "cpuset_mems"), _no("cpuset", "Cpuset")),
    _Limit("blkio-weight", ("blkio_weight",), _no("Block I/O weight", "Weight")),
    _Limit("blkio-weight-device", ("blkio_weight_device",), _no("Block I/O weight_device", "Weight-device")),
    _Limit("blkio-throttle", ("blkio_device_read_bps",), _no("BPS Block I/O read limit", "Block I/O BPS read limit")),
    _Limit("blkio-throttle", ("blkio_device_write_bps",), _no("BPS Block I/O write limit", "Block I/O BPS write limit")),
    _Limit("blkio-throttle", ("blkio_device_read_iops",), _no("IOPS Block read limit", "Block I/O IOPS read limit")),
    _Limit("blkio-throttle", ("blkio_device_write_iops",), _no("IOPS Block write limit", "Block I/O IOPS write limit")),
)
_NOTHING = Resources()


def discard_unsupported(resources: Resources, supported: Collection[str]) -> tuple[Resources, list[str]]:
    """What is left of the limits, and the warnings of a create or an update. `supported` as `KernelFeatures.limits` has it."""
    warnings: list[str] = []
    if resources.memory > 0 and resources.memory_swap != -1 and "swap" not in supported and "memory" in supported:
        warnings.append("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.")
        resources = replace(resources, memory_swap=-1)
    for limit in _LIMITS:
        changes = {name: getattr(_NOTHING, name) for name in limit.fields if getattr(resources, name) != getattr(_NOTHING, name)}
        if limit.needs in supported or not changes:
            continue
        if changes.keys() != {"pids_limit"} or (resources.pids_limit or 0) > 0:
            warnings.append(limit.warning)
        resources = replace(resources, **changes)
    return _without_oom_switch(resources, supported, warnings), warnings


def _without_oom_switch(resources: Resources, supported: Collection[str], warnings: list[str]) -> Resources:
    """Wanting the OOM killer to stay on needs no support."""
    if "oom-kill-disable" in supported or resources.oom_kill_disable is None:
        return resources
    if resources.oom_kill_disable:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    return replace(resources, oom_kill_disable=None)
