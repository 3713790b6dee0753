"""What this machine is: read once at start, used by limits checks and `docker info`."""

import os
import platform
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_AMD64_LEVELS: Final = (
    ("v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"),
    ("v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """`memory` is bytes; `online_cpus` and `online_memory` are kernel lists such as `0-3,8`; `variant`: v2 to v4 of amd64."""

    cpus: int = 1
    online_cpus: str = "0"
    online_memory: str = "0"
    memory: int = 0
    kernel: str = ""
    operating_system: str = ""
    os_version: str = ""
    architecture: str = "x86_64"
    variant: str = ""
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
        variant=amd64_variant(_line("/proc/cpuinfo", "")) if platform.machine() == "x86_64" else "",
        hostname=socket.gethostname(),
        cgroup_version=cgroup_version,
    )


def amd64_variant(cpuinfo: str) -> str:
    """The highest of the psABI's levels that the first processor of `/proc/cpuinfo` has: "v2", "v3", "v4"; "" for the lowest."""
    flags = next((set(line.partition(":")[2].split()) for line in cpuinfo.splitlines() if line.startswith("flags")), set())
    found = ""
    for level, needed in _AMD64_LEVELS:
        if not flags.issuperset(needed.split()):
            break
        found = level
    return found


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
