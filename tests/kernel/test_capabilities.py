"""Capability sets and namespaces of a process, changed in forked children."""

import os

import pytest

from corten.kernel import caps, process
from corten.kernel import namespaces as ns
from tests.support.forked import forked

pytestmark = pytest.mark.privileged


def status_sets() -> dict[str, int]:
    with open("/proc/self/status", encoding="ascii") as f:
        return {line[3:6].lower(): int(line.split()[1], 16) for line in f if line.startswith("Cap")}


def test_all_five_sets() -> None:
    mask = caps.capability_mask(["CAP_CHOWN", "CAP_NET_BIND_SERVICE"])

    def body() -> dict[str, int]:
        caps.set_capabilities(1, mask, inheritable=mask, bounding=mask, ambient=1)
        return status_sets()

    assert forked(body) == {"inh": mask, "prm": mask, "eff": 1, "bnd": mask, "amb": 1}


def test_ambient_leaves_out_what_is_not_permitted() -> None:
    def body() -> int:
        caps.capset(1, 1, 1)
        caps.set_ambient(0b11)
        return status_sets()["amb"]

    assert forked(body) == 1


def test_the_last_capability_is_in_the_table() -> None:
    assert caps.last_cap() <= max(caps.CAPS.values())


def test_namespaces_are_made_joined_and_told_apart() -> None:
    def body() -> tuple[bool, bool, str]:
        parent = os.getppid()
        before = ns.same_namespace("uts", parent)
        ns.unshare(ns.CLONE_NEWUTS)
        after = ns.same_namespace("uts", parent)
        fd = ns.open_namespace("uts", parent)
        ns.setns(fd, ns.CLONE_NEWUTS)
        return before, after, str(ns.same_namespace("uts", parent))

    assert forked(body) == (True, False, "True")


def test_setns_by_pidfd_joins_several_at_once() -> None:
    def body() -> bool:
        ready, told = os.pipe()
        pid, pidfd = process.clone3(ns.CLONE_NEWUTS | ns.CLONE_NEWIPC)
        if pid == 0:
            os.close(told)
            os.read(ready, 1)
            os._exit(0)
        ns.setns(pidfd, ns.CLONE_NEWUTS | ns.CLONE_NEWIPC)
        joined = ns.same_namespace("uts", pid) and ns.same_namespace("ipc", pid)
        os.close(told)
        os.waitpid(pid, 0)
        return joined

    assert forked(body)


def test_a_subreaper_gets_orphans() -> None:
    def body() -> bool:
        process.set_child_subreaper()
        reading, writing = os.pipe()
        pid, _ = process.clone3(0)
        if pid == 0:
            orphan, _ = process.clone3(0)
            if orphan == 0:
                os._exit(5)
            os.write(writing, str(orphan).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        orphan = int(os.read(reading, 20))
        return os.waitpid(orphan, 0) == (orphan, 5 << 8)

    assert forked(body)
