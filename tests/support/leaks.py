"""Counts what an engine holds of the host, so that a test can demand that all of it came back."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import pytest

from tests.support.daemon import IMAGE, Daemon
from tests.support.processes import command_line, marked, parent_of, read

SETTLE_SECONDS = 5.0
"""How long work behind the answers may take (unmounts, veth and cgroup removal)."""
QUIET_SECONDS = 0.5
"""How long holdings stay the same when no such work is left."""


@dataclass(frozen=True)
class Holdings:
    """Each a set of texts that say what it is, so that a difference reads as a message."""

    mounts: frozenset[str] = field(default_factory=frozenset)
    links: frozenset[str] = field(default_factory=frozenset)
    namespaces: frozenset[str] = field(default_factory=frozenset)
    cgroups: frozenset[str] = field(default_factory=frozenset)
    processes: frozenset[str] = field(default_factory=frozenset)
    descriptors: frozenset[str] = field(default_factory=frozenset)
    files: frozenset[str] = field(default_factory=frozenset)

    def beyond(self, before: "Holdings") -> dict[str, list[str]]:
        """What is held now and was not before."""
        gained = {f.name: sorted(getattr(self, f.name) - getattr(before, f.name)) for f in fields(self)}
        return {name: members for name, members in gained.items() if members}


def holdings(daemon: Daemon) -> Holdings:
    found = marked(daemon.name)
    spare = spare_monitors(found)
    pids = found - spare.keys()
    descriptors = counted([f"{command_line(pid)[:60]} {kind}" for pid in pids for kind in descriptor_kinds(pid)])
    return Holdings(
        mounts=frozenset(line.split()[4] for line in read(daemon.namespace_pid, "mountinfo").decode().splitlines()),
        links=counted([link_kind(line) for line in read(daemon.namespace_pid, "net/dev").decode().splitlines()[2:]]),
        namespaces=counted([text.partition(":")[0] for text in namespaces_of(pids)]),
        cgroups=frozenset(cgroups_of(daemon)),
        processes=counted([command_line(pid) for pid in pids]),
        descriptors=descriptors.union(*(counted([f"empty monitor {kind}" for kind in descriptor_kinds(pid)]) for pid in spare)),
        files=frozenset(str(path.relative_to(daemon.root)) for path in daemon.exec_root.rglob("*") if path.name not in spare.values()),
    )


def spare_monitors(pids: set[int]) -> dict[int, str]:
    """pid -> the name of its socket of up to two monitors without containers: the engine keeps one or two of them for the next load, and
    which ones is chance. Their descriptors are compared as if they were one."""
    parents = {parent_of(pid) for pid in pids}
    empty = sorted(pid for pid in pids - parents if command_line(pid).startswith("corten-monitor "))
    return {pid: f"{command_line(pid).split()[1]}.sock" for pid in empty[:2]}


def counted(texts: list[str]) -> frozenset[str]:
    """`x`, `x #2`, `x #3`: equal things are told apart by their number, not by an id that changes."""
    seen: dict[str, int] = {}
    found = set()
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
        found.add(text if seen[text] == 1 else f"{text} #{seen[text]}")
    return frozenset(found)


def namespaces_of(pids: set[int]) -> set[str]:
    """`net:[4026531840]` and the like: each namespace that a process of the engine is in. Read once: a process may end meanwhile."""
    kinds = ("net", "mnt", "pid", "ipc", "uts", "cgroup", "user")
    return {text for pid in pids for kind in kinds if (text := link(pid, f"ns/{kind}"))}


def descriptor_kinds(pid: int) -> Iterator[str]:
    """Open files by kind: numbers and inodes are left out, they differ from one moment to the next.

    The database's main file counts once: SQLite keeps a closed connection's descriptor for the next one as long as the process holds a
    lock on the file (POSIX locks go with any close). A connection that is left behind shows by its `-wal`.
    """
    seen_database = False
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for number in numbers:
        kind = link(pid, f"fd/{number}").partition(":[")[0]
        if not (seen_database and kind.endswith("/corten.db")):
            yield kind
        seen_database = seen_database or kind.endswith("/corten.db")


def link_kind(line: str) -> str:
    """A link's name, random digits left out: namespaces kept ready have links, and each new one has another name."""
    name = line.split(":", maxsplit=1)[0].strip()
    return "veth" if name.startswith("veth") else name


def link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def cgroups_of(daemon: Daemon) -> Iterator[str]:
    """Control groups whose path names a container that this daemon made."""
    ids = container_ids(daemon)
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if any(container in name for container in ids):
                yield os.path.join(directory, name)


def container_ids(daemon: Daemon) -> set[str]:
    """Every container this daemon ever made, from its events."""
    if not daemon.socket.exists():
        return set()
    with daemon.client() as client:
        answer = client.request("GET", f"/events?since=1&until={int(time.time())}&filters=%7B%22type%22%3A%5B%22container%22%5D%7D")
        return {event["Actor"]["ID"] for event in answer.json_lines() if event.get("Action") == "create"}


def settled_holdings(daemon: Daemon) -> Holdings:
    """The holdings when work behind earlier answers is over, as that which fills the pool of network places: they have stopped changing."""
    deadline = time.monotonic() + 2 * SETTLE_SECONDS
    last, since = holdings(daemon), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS and time.monotonic() < deadline:
        time.sleep(0.05)
        if (now := holdings(daemon)) != last:
            last, since = now, time.monotonic()
    return last


def wait_until_settled(daemon: Daemon, before: Holdings) -> dict[str, list[str]]:
    """What is still held too much when `SETTLE_SECONDS` are over; returns as soon as it is nothing."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (gained := holdings(daemon).beyond(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gained


def warm_up(daemon: Daemon) -> None:
    """One container from create to remove: what is made once for all of them (launcher, pools, bridge) is there afterwards."""
    created = daemon.call("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]}).ok()
    daemon.call("POST", f"/containers/{created['Id']}/start").ok()
    daemon.call("POST", f"/containers/{created['Id']}/wait").ok()
    daemon.call("DELETE", f"/containers/{created['Id']}?force=1").ok()


@pytest.fixture
def leaks(daemon: Daemon) -> Iterator[Daemon]:
    """The test's daemon, warmed up; fails the test when it holds more of the host at its end than at its beginning."""
    warm_up(daemon)
    before = settled_holdings(daemon)
    yield daemon
    gained = wait_until_settled(daemon, before)
    assert not gained, f"left behind: {gained}"
