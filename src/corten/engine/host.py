"""What this machine is: read once at start, used by limits checks and `docker info`."""

import os
import platform
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """`memory` is bytes; `online_cpus` and `online_memory` are kernel lists such as `0-3,8`."""

    cpus: int = 1
    online_cpus: str = "0"
    online_memory: str = "0"
    memory: int = 0
    kernel: str = ""
    operating_system: str = ""
    os_version: str = ""
    architecture: str = "x86_64"
    hostname: str = ""
    cgroup_version: int = 2


def read_host_facts(cgroup_version: int) -> HostFacts:
    names = _os_release()
    return HostFacts(
        cpus=len(os.sched_getaffinity(0)),
        online_cpus=_line("/sys/devices/system/cpu/online", "0"),
        online_memory=_line("/sys/devices/system/node/online", "0"),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        operating_system=names.get("PRETTY_NAME", "Linux"),
        os_version=names.get("VERSION_ID", ""),
        architecture=platform.machine(),
        hostname=socket.gethostname(),
        cgroup_version=cgroup_version,
    )


def parse_list(text: str) -> set[int]:
    """The numbers of a kernel list (`0-3,8`); raises ValueError for anything else."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _line(path: str, default: str) -> str:
    try:
        return Path(path).read_text().strip() or default
    except OSError:
        return default


def _os_release() -> dict[str, str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            return _assignments(Path(path).read_text().splitlines())
        except OSError:
            continue
    return {}


def _assignments(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {key: value.strip("\"'") for key, equals, value in pairs if equals}
