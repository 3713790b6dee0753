"""The systemd manager: a container's cgroup is a transient scope, made and known by systemd, delegated to us. cgroup v2 only.

Limits are given to systemd as unit properties, so that its own housekeeping (daemon-reload) keeps them, and then written by
`CgroupV2` as with cgroupfs, which knows more of them.
"""

import os
import time
from typing import Any

from corten.kernel.cgroup.dbus import DBusError, Systemd
from corten.kernel.cgroup.files import find_text
from corten.kernel.cgroup.hierarchies import UNIFIED, Hierarchies
from corten.kernel.cgroup.v2 import CgroupV2
from corten.kernel.cgroup.v2_limits import cpu_weight, swap_max
from corten.kernel.cgroup.values import Resources, Stats

_INFINITY = (1 << 64) - 1
_NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
_PLACEHOLDER_LIFE = 30.0

Property = tuple[str, tuple[str, Any]]


def parse_unit(path: str) -> tuple[str, str]:
    """(slice, unit) of `slice:prefix:name`; an empty slice is system.slice. Raises ValueError for another form."""
    parts = path.split(":")
    if len(parts) != 3 or not parts[2]:
        raise ValueError(f"with the systemd cgroup manager cgroupsPath must be slice:prefix:name, and it is {path!r}")
    slice_, prefix, name = parts
    if name.endswith(".slice"):
        return slice_ or "system.slice", name
    return slice_ or "system.slice", f"{prefix}-{name}.scope" if prefix else f"{name}.scope"


def slice_path(name: str) -> str:
    """Where systemd puts a slice: `a-b.slice` lies in `a.slice`. Raises ValueError for what is no slice's name."""
    stem = name.removesuffix(".slice")
    if stem == name or "/" in name or (stem != "-" and "" in stem.split("-")):
        raise ValueError(f"invalid slice name {name!r}")
    if stem == "-":
        return ""
    words = stem.split("-")
    return "".join(f"/{'-'.join(words[: count + 1])}.slice" for count in range(len(words)))


def unit_properties(resources: Resources) -> list[Property]:
    """The limits that systemd knows too."""
    memory, cpu, pids = resources.get("memory") or {}, resources.get("cpu") or {}, resources.get("pids") or {}
    found: list[Property] = []

    def limit(name: str, value: int) -> None:
        found.append((name, ("t", value if value >= 0 else _INFINITY)))

    if memory.get("limit"):
        limit("MemoryMax", memory["limit"])
    swap = swap_max(memory.get("limit") or 0, memory.get("swap") or 0)
    if swap is not None:
        limit("MemorySwapMax", -1 if swap == "max" else int(swap))
    if memory.get("reservation"):
        limit("MemoryLow", memory["reservation"])
    if cpu.get("shares"):
        limit("CPUWeight", cpu_weight(cpu["shares"]))
    if cpu.get("quota"):
        period = cpu.get("period") or 100_000
        limit("CPUQuotaPeriodUSec", period)
        limit("CPUQuotaPerSecUSec", cpu["quota"] * 1_000_000 // period if cpu["quota"] > 0 else -1)
    if pids.get("limit"):
        limit("TasksMax", pids["limit"])
    return found


class CgroupSystemd:
    """See `values.Cgroup` for the contract."""

    __slots__ = ("_directory", "_inner", "_slice", "_unit")
    version = 2

    def __init__(self, hierarchies: Hierarchies, path: str) -> None:
        self._slice, self._unit = parse_unit(path)
        if hierarchies.version != 2:
            raise ValueError("the systemd cgroup manager needs cgroup v2, and this machine has v1: use cgroupfs")
        inside = f"{slice_path(self._slice)}/{self._unit}"
        self._directory = hierarchies.roots[UNIFIED] + inside
        self._inner = CgroupV2(hierarchies, inside)

    def create(self, resources: Resources) -> None:
        """A scope must be born with a process: a placeholder, which leaves as soon as another one is inside."""
        properties: list[Property] = [
            ("Description", ("s", f"Corten container {self._unit}")),
            ("Slice", ("s", self._slice)),
            ("Delegate", ("b", True)),
            ("DefaultDependencies", ("b", False)),
            ("CollectMode", ("s", "inactive-or-failed")),
            ("PIDs", ("au", [_start_placeholder(self._directory)])),
            *unit_properties(resources),
        ]
        with Systemd() as systemd:
            job = systemd.call("StartTransientUnit", "ssa(sv)a(sa(sv))", self._unit, "replace", properties, [])
            systemd.wait_for_job(job[0])
        try:
            self._inner.create(resources)
        except BaseException:
            self.delete()
            raise

    def apply(self, resources: Resources) -> None:
        properties = unit_properties(resources)
        if properties:
            with Systemd() as systemd:
                systemd.call("SetUnitProperties", "sba(sv)", self._unit, True, properties)
        self._inner.apply(resources)

    def delete(self) -> None:
        try:
            with Systemd() as systemd:
                systemd.wait_for_job(systemd.call("StopUnit", "ss", self._unit, "replace")[0])
        except DBusError as error:
            if error.name != _NO_SUCH_UNIT:  # it went when it became empty
                raise
        self._inner.delete()

    def entry_fds(self) -> list[int]:
        return self._inner.entry_fds()

    def add(self, pid: int) -> None:
        self._inner.add(pid)

    def freeze(self) -> None:
        self._inner.freeze()

    def thaw(self) -> None:
        self._inner.thaw()

    def pids(self) -> list[int]:
        return self._inner.pids()

    def kill_all(self, signal: int = 9) -> None:
        self._inner.kill_all(signal)

    def stats(self) -> Stats:
        return self._inner.stats()

    def oom_kills(self) -> int:
        return self._inner.oom_kills()

    def paths(self) -> dict[str, str]:
        return self._inner.paths()


def _start_placeholder(directory: str) -> int:
    """The pid of a grandchild (nobody here must reap it) that waits for company in the cgroup, 30 s at most."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pid = os.fork()
            if pid:
                os.write(writing, str(pid).encode())
            else:
                os.setsid()
                _await_company(directory)
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())


def _await_company(directory: str) -> None:
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    deadline = time.monotonic() + _PLACEHOLDER_LIFE
    mine = str(os.getpid())
    while time.monotonic() < deadline:
        inside = find_text(f"{directory}/cgroup.procs").split()
        if mine in inside and len(inside) > 1:
            return
        time.sleep(0.002)
