"""Docker's limits as OCI `linux.resources` (without devices)."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from corten.engine.values.container import Resources, ThrottleDevice
from corten.errors import EngineError

_CPU_PERIOD = 100_000
"""Microseconds; the period in which `--cpus` is granted."""

DeviceNumber = Callable[[str], tuple[int, int]]
"""(major, minor) of a block device's path; OSError where it cannot be had."""


def device_number(path: str) -> tuple[int, int]:
    """The `DeviceNumber` of the real machine."""
    number = os.stat(path).st_rdev
    return os.major(number), os.minor(number)


def linux_resources(resources: Resources, number: DeviceNumber = device_number) -> dict[str, Any]:
    """Only what was asked for is in it; used for a start and, alike, for `update`."""
    parts = {
        "memory": _memory(resources),
        "cpu": _cpu(resources),
        "pids": _pids(resources.pids_limit),
        "blockIO": _block_io(resources, number),
    }
    return {name: part for name, part in parts.items() if part}


def _memory(resources: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if resources.memory > 0:
        found["limit"] = resources.memory
    if resources.memory_reservation > 0:
        found["reservation"] = resources.memory_reservation
    if resources.memory_swap > 0 or (resources.memory_swap == -1 and resources.memory > 0):
        found["swap"] = resources.memory_swap
    if resources.memory_swappiness is not None:
        found["swappiness"] = resources.memory_swappiness
    if resources.oom_kill_disable is not None:
        found["disableOOMKiller"] = resources.oom_kill_disable
    return found


def _cpu(resources: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if resources.nano_cpus > 0:
        found["period"] = _CPU_PERIOD
        found["quota"] = resources.nano_cpus * _CPU_PERIOD // 1_000_000_000
    wanted = {
        "shares": resources.cpu_shares,
        "cpus": resources.cpuset_cpus,
        "mems": resources.cpuset_mems,
        "period": resources.cpu_period,
        "quota": resources.cpu_quota,
        "realtimePeriod": resources.cpu_realtime_period,
        "realtimeRuntime": resources.cpu_realtime_runtime,
    }
    return found | {name: value for name, value in wanted.items() if value}


def _pids(limit: int | None) -> dict[str, Any]:
    if limit is None:
        return {}
    return {"limit": limit if limit > 0 else -1}


def _block_io(resources: Resources, number: DeviceNumber) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if resources.blkio_weight:
        found["weight"] = resources.blkio_weight
    lists = {
        "weightDevice": ("weight", resources.blkio_weight_device),
        "throttleReadBpsDevice": ("rate", resources.blkio_device_read_bps),
        "throttleWriteBpsDevice": ("rate", resources.blkio_device_write_bps),
        "throttleReadIOPSDevice": ("rate", resources.blkio_device_read_iops),
        "throttleWriteIOPSDevice": ("rate", resources.blkio_device_write_iops),
    }
    for name, (key, devices) in lists.items():
        if devices:
            found[name] = list(_throttles(devices, key, number))
    return found


def _throttles(devices: Iterable[ThrottleDevice], key: str, number: DeviceNumber) -> Iterable[dict[str, int]]:
    for device in devices:
        try:
            major, minor = number(device.path)
        except OSError as error:
            raise EngineError(f"stat {device.path}: {(error.strerror or '').lower()}", reason="no-such-device") from error
        yield {"major": major, "minor": minor, key: device.rate}
