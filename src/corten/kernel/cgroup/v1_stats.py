"""Reading usage from cgroup v1 files into `values.Stats`."""

from corten.kernel.cgroup.files import find_number, find_text, parse_flat
from corten.kernel.cgroup.processes import read_pids
from corten.kernel.cgroup.values import UNLIMITED, IoEntry, Stats

_TICKS = 10_000_000
"""cpuacct.stat counts in USER_HZ = 100 ticks a second; ns per tick."""


def read_stats(dirs: dict[str, str]) -> Stats:
    """One reading from the joined hierarchies; what is not joined counts 0."""
    cpuacct, memory = dirs.get("cpuacct", "/"), dirs.get("memory", "/")
    split = parse_flat(find_text(f"{cpuacct}/cpuacct.stat"))
    cpu_stat = parse_flat(find_text(f"{dirs.get('cpu', '/')}/cpu.stat"))
    limit = find_number(f"{memory}/memory.limit_in_bytes")
    memory_stat = parse_flat(find_text(f"{memory}/memory.stat"))
    return {
        "version": 1,
        "cpu_total": find_number(f"{cpuacct}/cpuacct.usage"),
        "cpu_user": split.get("user", 0) * _TICKS,
        "cpu_system": split.get("system", 0) * _TICKS,
        "per_cpu": [int(word) for word in find_text(f"{cpuacct}/cpuacct.usage_percpu").split()],
        "periods": cpu_stat.get("nr_periods", 0),
        "throttled_periods": cpu_stat.get("nr_throttled", 0),
        "throttled_time": cpu_stat.get("throttled_time", 0),
        "memory_usage": find_number(f"{memory}/memory.usage_in_bytes"),
        "memory_max_usage": find_number(f"{memory}/memory.max_usage_in_bytes"),
        "memory_limit": 0 if limit >= UNLIMITED else limit,
        "memory_failcnt": find_number(f"{memory}/memory.failcnt"),
        "memory_stat": memory_stat,
        "oom_kills": parse_flat(find_text(f"{memory}/memory.oom_control")).get("oom_kill", 0),
        "pids_current": find_number(f"{dirs['pids']}/pids.current") if "pids" in dirs else _count_tasks(dirs),
        "pids_limit": max(find_number(f"{dirs.get('pids', '/')}/pids.max"), 0),
        "io_service_bytes": _io(f"{dirs.get('blkio', '/')}/blkio.throttle.io_service_bytes_recursive"),
        "io_serviced": _io(f"{dirs.get('blkio', '/')}/blkio.throttle.io_serviced_recursive"),
    }


def _count_tasks(dirs: dict[str, str]) -> int:
    """What pids.current would say, where that hierarchy is not joined."""
    return len(read_pids(dirs["memory"], "tasks")) if "memory" in dirs else 0


def _io(path: str) -> list[IoEntry]:
    """`8:0 Read 4096` lines; the file's closing total over all devices has no device and is left out."""
    entries: list[IoEntry] = []
    for line in find_text(path).splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            entries.append({"major": int(major), "minor": int(minor), "op": words[1].lower(), "value": int(words[2])})
    return entries
