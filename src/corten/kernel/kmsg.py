"""The kernel's log as records (`/dev/kmsg`), and the two kinds that tell how a process died: OOM kills and faults.

Record: `priority,sequence,microseconds,flags;text`, continuation lines begin with a space (Documentation/ABI/testing/dev-kmsg).
The microseconds count from boot, by a clock that stands while the machine sleeps.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_RECORD = 8192
_KILLED = re.compile(
    r"(?P<scope>Memory cgroup out of memory|Out of memory(?: \(oom_kill_allocating_task\))?): Killed process (?P<pid>\d+) \((?P<name>.*)\)"
    r".*?anon-rss:(?P<anon>\d+)kB, file-rss:(?P<file>\d+)kB(?:, shmem-rss:(?P<shmem>\d+)kB)?"
)
_OOM_KILL = re.compile(
    r"oom-kill:constraint=(?P<constraint>\w+),.*?task_memcg=(?P<cgroup>[^,]*),task=(?P<name>.*),pid=(?P<pid>\d+),uid=\d+"
)
_SEGFAULT = re.compile(
    r"(?P<name>.{1,16})\[(?P<pid>\d+)\]: segfault at (?P<address>[0-9a-f]+) ip .*? error [0-9a-f]+(?: in (?P<module>[^\[\s]+))?"
)
_TRAP = re.compile(r"traps: (?P<name>.{1,16})\[(?P<pid>\d+)\] (?P<what>[\w :]+?) ip:\S+ sp:\S+ error:\S+(?: in (?P<module>[^\[\s]+))?")
_XID = re.compile(r"NVRM: Xid \((?P<device>PCI:[^)]*)\): (?P<number>\d+), (?:pid='?(?P<pid>\d+)'?|pid=<unknown>)")


class Record(NamedTuple):
    """One message. `at`: microseconds since boot."""

    at: int
    text: str


class OomKill(NamedTuple):
    """A process that the kernel killed for memory. `whole_machine`: the machine was out of memory, not the cgroup. `resident` in bytes."""

    pid: int
    name: str
    cgroup: str
    whole_machine: bool
    resident: int


class Fault(NamedTuple):
    """A process that a processor exception or a GPU error ended. `module`: the file whose code ran, empty when unknown."""

    pid: int
    name: str
    what: str
    module: str


def read_records(path: str = "/dev/kmsg") -> list[Record]:
    """All records that the kernel still has, oldest first; none where it may not be read. Takes milliseconds: not for an event loop."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return list(_records(fd))
    finally:
        os.close(fd)


def _records(fd: int) -> Iterator[Record]:
    while True:
        try:
            data = os.read(fd, _RECORD)
        except BrokenPipeError:  # overwritten while we read: the next read goes on with the oldest that is there
            continue
        except OSError:  # EAGAIN: the end
            return
        if not data:
            return
        record = parse_record(data)
        if record is not None:
            yield record


def parse_record(data: bytes) -> Record | None:
    head, semicolon, rest = data.partition(b";")
    fields = head.split(b",")
    if not semicolon or len(fields) < 3 or not fields[2].isdigit():
        return None
    return Record(int(fields[2]), rest.split(b"\n", 1)[0].decode("utf-8", "replace"))


def oom_kills(records: Iterable[Record]) -> list[OomKill]:
    """Every kill for memory. The kernel writes two lines for each: who and from where, then how large."""
    cgroups: dict[int, tuple[str, bool]] = {}
    found = []
    for record in records:
        if (line := _OOM_KILL.search(record.text)) is not None:
            cgroups[int(line["pid"])] = line["cgroup"], line["constraint"] != "CONSTRAINT_MEMCG"
        elif (line := _KILLED.search(record.text)) is not None:
            pid = int(line["pid"])
            cgroup, machine = cgroups.pop(pid, ("", not line["scope"].startswith("Memory cgroup")))
            resident = sum(int(line[part] or 0) for part in ("anon", "file", "shmem")) << 10
            found.append(OomKill(pid, line["name"], cgroup, machine, resident))
    return found


def faults(records: Iterable[Record]) -> list[Fault]:
    """Every segmentation fault, trap and NVIDIA error that names a process."""
    found = []
    for record in records:
        if (line := _SEGFAULT.search(record.text)) is not None:
            found.append(Fault(int(line["pid"]), line["name"], f"segfault at {line['address']}", line["module"] or ""))
        elif (line := _TRAP.search(record.text)) is not None:
            found.append(Fault(int(line["pid"]), line["name"], line["what"], line["module"] or ""))
        elif (line := _XID.search(record.text)) is not None and line["pid"]:
            found.append(Fault(int(line["pid"]), "", f"NVIDIA Xid {line['number']} on {line['device']}", ""))
    return found
