"""What running containers use: processor, memory, block devices, processes, networks. One reading, or one a second."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from corten.engine.containers.protocols import MonitorClient
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process
from corten.engine.values.container import Container
from corten.errors import Conflict, NotFound
from corten.kernel.cgroup.values import Stats as CgroupStats

PERIOD = 1.0
"""Seconds between two readings of a stream, and before the second reading that a rate needs."""
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_COUNTED_TICKS = 7
"""user nice system idle iowait irq softirq of /proc/stat: what Docker counts as the machine's processor time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`at` is ns since the epoch, `system` the processor time of the whole machine in ns. `networks`: interface → its counters."""

    at: int
    cgroup: CgroupStats
    system: int
    online_cpus: int
    memory_total: int
    networks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """`now` None: the container does not run. `before`: the reading before that one."""

    container: Container
    now: Reading | None = None
    before: Reading | None = None


class Stats:
    def __init__(self, catalog: ContainerCatalog, monitors: MonitorClient) -> None:
        self._catalog = catalog
        self._monitors = monitors

    async def once(self, ref: str, *, rate: bool = True) -> Sample:
        """`rate`: with a reading of a second before. Raises NotFound."""
        entry = self._catalog.get(ref)
        before = await self._read(entry.value) if rate else None
        if before is not None:
            await asyncio.sleep(PERIOD)
        return Sample(entry.value, await self._read(entry.value), before)

    async def stream(self, ref: str) -> AsyncGenerator[Sample, None]:
        """One a second until the container is removed; while it does not run they are empty. Raises NotFound."""
        entry = self._catalog.get(ref)
        before: Reading | None = None
        while self._catalog.find(entry.id) is entry:
            now = await self._read(entry.value)
            yield Sample(entry.value, now, before)
            before = now
            await asyncio.sleep(PERIOD)

    async def _read(self, container: Container) -> Reading | None:
        if not has_process(container.state):
            return None
        try:
            cgroup: Any = await self._monitors.of(container.id).stats()
        except (NotFound, Conflict):  # it has ended this moment
            return None
        return Reading(
            at=time.time_ns(),
            cgroup=cgroup,
            system=_system_time(),
            online_cpus=len(os.sched_getaffinity(0)),
            memory_total=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            networks={} if container.host.network_mode == "host" else _networks(container.state.pid),
        )


def _system_time() -> int:
    with open("/proc/stat", encoding="ascii") as lines:
        words = lines.readline().split()
    return sum(int(word) for word in words[1 : 1 + _COUNTED_TICKS]) * _TICK_NS


def _networks(pid: int) -> dict[str, dict[str, int]]:
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as lines:
            return parse_net_dev(lines.read())
    except OSError:
        return {}


def parse_net_dev(text: str) -> dict[str, dict[str, int]]:
    """Counters of /proc/net/dev by interface, the loopback left out."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if name.strip() == "lo" or len(numbers) < 12:
            continue
        received, sent = numbers[:4], numbers[8:12]
        found[name.strip()] = {
            f"{way}_{what}": number
            for way, values in (("rx", received), ("tx", sent))
            for what, number in zip(("bytes", "packets", "errors", "dropped"), values, strict=True)
        }
    return found
