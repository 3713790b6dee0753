"""Reading usage from cgroup v2 files into `values.Stats`."""

from corten.kernel.cgroup.files import find_number, find_text, parse_flat, parse_nested
from corten.kernel.cgroup.values import IoEntry, Stats

_BYTES = (("rbytes", "read"), ("wbytes", "write"))
_OPERATIONS = (("rios", "read"), ("wios", "write"))


def read_stats(directory: str) -> Stats:
    """One reading; controllers that are not enabled count 0."""
    cpu = parse_flat(find_text(f"{directory}/cpu.stat"))
    events = parse_flat(find_text(f"{directory}/memory.events"))
    io = parse_nested(find_text(f"{directory}/io.stat"))
    return {
        "version": 2,
        "cpu_total": cpu.get("usage_usec", 0) * 1000,
        "cpu_user": cpu.get("user_usec", 0) * 1000,
        "cpu_system": cpu.get("system_usec", 0) * 1000,
        "per_cpu": [],
        "periods": cpu.get("nr_periods", 0),
        "throttled_periods": cpu.get("nr_throttled", 0),
        "throttled_time": cpu.get("throttled_usec", 0) * 1000,
        "memory_usage": find_number(f"{directory}/memory.current"),
        "memory_max_usage": find_number(f"{directory}/memory.peak"),
        "memory_limit": max(find_number(f"{directory}/memory.max"), 0),
        "memory_failcnt": events.get("oom", 0),
        "memory_stat": parse_flat(find_text(f"{directory}/memory.stat")),
        "oom_kills": events.get("oom_kill", 0),
        "pids_current": find_number(f"{directory}/pids.current"),
        "pids_limit": max(find_number(f"{directory}/pids.max"), 0),
        "io_service_bytes": _entries(io, _BYTES),
        "io_serviced": _entries(io, _OPERATIONS),
    }


def _entries(io: dict[str, dict[str, int]], fields: tuple[tuple[str, str], ...]) -> list[IoEntry]:
    entries: list[IoEntry] = []
    for device, values in io.items():
        major, _, minor = device.partition(":")
        for field, op in fields:
            if field in values:
                entries.append({"major": int(major), "minor": int(minor), "op": op, "value": values[field]})
    return entries
