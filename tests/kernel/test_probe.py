"""The probe on a real kernel: it finds what these tests need anyway, and leaves nothing behind."""

import os

import pytest

from corten.kernel.cgroup import detect_version
from corten.kernel.cgroup.support import LIMITS
from corten.kernel.probe import missing, probe, shortcomings

pytestmark = pytest.mark.privileged


def test_this_machine_can_run_containers() -> None:
    before = (set(os.listdir("/proc/self/fd")), set(os.listdir("/sys/class/net")))
    features = probe()
    assert (set(os.listdir("/proc/self/fd")), set(os.listdir("/sys/class/net"))) == before
    assert missing(features) == []
    assert features.cgroup_version == detect_version()
    assert features.has_overlay
    assert features.has_bridge
    assert features.has_veth
    assert features.has_nftables
    assert features.has_seccomp
    assert {"memory", "cpu", "pids"} <= features.controllers
    assert {"memory", "swap", "pids", "cpu-shares", "cpu-quota", "cpuset", "blkio-throttle"} <= features.limits <= LIMITS
    assert ("swappiness" in features.limits) == (features.cgroup_version == 1)


def test_what_lacks_is_told_in_sentences() -> None:
    nothing = probe()._replace(
        machine="riscv64", syscalls=frozenset(), namespaces=frozenset(), capabilities=(), cgroup_version=0, controllers=frozenset(),
        has_overlay=False, has_seccomp=False, has_bridge=False, has_nftables=False, limits=frozenset(),
    )  # fmt: skip
    assert len(missing(nothing)) == 6
    assert all(sentence.endswith((".", ").")) for sentence in missing(nothing))
    assert len(shortcomings(nothing)) == 12
