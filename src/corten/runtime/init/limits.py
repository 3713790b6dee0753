"""What the process itself is bound by: resource limits, OOM score, scheduling, personality, umask."""

import os
import resource
import struct
from typing import Any

from corten.errors import Invalid
from corten.kernel.process import ioprio_set, personality, sched_setattr

_SCHED_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_SCHED_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_PERSONALITIES = {"LINUX": 0x0000, "LINUX32": 0x0008}
_INFINITY = (1 << 64) - 1


def parse_rlimits(entries: list[dict[str, Any]]) -> tuple[tuple[int, int, int], ...]:
    """(resource, soft, hard) of each; Invalid for an unknown or repeated name."""
    limits: dict[str, tuple[int, int, int]] = {}
    for entry in entries:
        name = entry["type"]
        number = vars(resource).get(name) if name.startswith("RLIMIT_") else None
        if number is None:
            raise Invalid(f"unknown rlimit type {name!r}", reason="bad-rlimit")
        if name in limits:
            raise Invalid(f"rlimit {name} is there twice", reason="bad-rlimit")
        limits[name] = (number, _limit(entry["soft"]), _limit(entry["hard"]))
    return tuple(limits.values())


def _limit(value: int) -> int:
    return resource.RLIM_INFINITY if value >= _INFINITY or value < 0 else value


def set_rlimits(limits: tuple[tuple[int, int, int], ...], pid: int = 0) -> list[str]:
    """Set each; returns sentences about those that could not be raised (no CAP_SYS_RESOURCE) and were set as high as may be."""
    notes = []
    for number, soft, hard in limits:
        try:
            resource.prlimit(pid, number, (soft, hard))
        except (PermissionError, ValueError):  # ValueError: not allowed to raise the hard limit
            ceiling = resource.prlimit(pid, number)[1]
            lowered = _lower(hard, ceiling)
            resource.prlimit(pid, number, (_lower(soft, lowered), lowered))
            notes.append(f"a resource limit stays at {ceiling}: raising it to {hard} needs CAP_SYS_RESOURCE, which this machine denies")
    return notes


def _lower(one: int, other: int) -> int:
    if resource.RLIM_INFINITY in (one, other):
        return other if one == resource.RLIM_INFINITY else one
    return min(one, other)


def set_oom_score_adj(value: int) -> list[str]:
    """Goes through the host's /proc, so before the root changes. Without CAP_SYS_RESOURCE it can only be raised."""
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    except PermissionError:
        return [f"oom_score_adj stays as it is: lowering it to {value} needs CAP_SYS_RESOURCE, which this machine denies"]
    finally:
        os.close(fd)
    return []


def set_scheduler(spec: dict[str, Any]) -> None:
    """process.scheduler: sched_setattr(2)."""
    policy = _SCHED_POLICIES.get(spec["policy"])
    flags = [_SCHED_FLAGS.get(flag) for flag in spec.get("flags") or ()]
    if policy is None or None in flags:
        raise Invalid(f"unknown scheduler policy or flag: {spec['policy']} {spec.get('flags')}", reason="bad-scheduler")
    times = (spec.get("runtime") or 0, spec.get("deadline") or 0, spec.get("period") or 0)
    total = sum(flag or 0 for flag in flags)
    sched_setattr(0, struct.pack("IIQiIQQQ", 48, policy, total, spec.get("nice") or 0, spec.get("priority") or 0, *times))


def set_io_priority(spec: dict[str, Any]) -> None:
    """process.ioPriority: ioprio_set(2) of this process."""
    if spec["class"] not in _IO_CLASSES:
        raise Invalid(f"unknown io priority class {spec['class']!r}", reason="bad-io-priority")
    ioprio_set(1, 0, _IO_CLASSES[spec["class"]] << 13 | (spec.get("priority") or 0))


def set_personality(spec: dict[str, Any]) -> None:
    """linux.personality."""
    if spec["domain"] not in _PERSONALITIES:
        raise Invalid(f"unknown personality {spec['domain']!r}", reason="bad-personality")
    personality(_PERSONALITIES[spec["domain"]])


def parse_cpu_list(text: str) -> set[int]:
    """ "0-3,7" as a set."""
    cpus: set[int] = set()
    for part in text.split(","):
        if part.strip():
            first, _, last = part.strip().partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return cpus
