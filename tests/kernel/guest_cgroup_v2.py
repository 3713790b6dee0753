"""What only cgroup v2 has. Runs in the virtual machine that `test_cgroup_v2` boots (or on a v2 host, when named)."""

import os
import signal
from pathlib import Path

import pytest

from corten.kernel import bpf
from corten.kernel.cgroup import Cgroup, detect_version, open_cgroup
from corten.kernel.cgroup.processes import read_pids
from corten.kernel.mount import MS_PRIVATE, MS_REC, mount, umount2
from corten.kernel.namespaces import CLONE_NEWCGROUP, CLONE_NEWNS, unshare
from corten.kernel.process import clone3
from tests.kernel.test_cgroup import DENY_ALL, NULL, cgroup, inside, open_error

pytestmark = pytest.mark.privileged
__all__ = ["cgroup"]


def directory(made: Cgroup) -> Path:
    return Path(made.paths()[""])


def test_this_is_version_2() -> None:
    assert detect_version() == 2


def test_a_process_is_born_inside(cgroup: Cgroup) -> None:
    cgroup.create({"memory": {"limit": 64 << 20}})
    (fd,) = cgroup.entry_fds()
    pid, pidfd = clone3(0, cgroup_fd=fd)
    if pid == 0:
        signal.pause()
        os._exit(0)
    os.close(fd)
    os.close(pidfd)
    try:
        assert cgroup.pids() == [pid]
    finally:
        cgroup.kill_all()
        os.waitpid(pid, 0)


def test_limits_as_the_kernel_shows_them(cgroup: Cgroup) -> None:
    cgroup.create(
        {
            "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
            "cpu": {"shares": 1024, "quota": 50_000, "period": 200_000},
            "pids": {"limit": 9},
            "unified": {"memory.high": "50331648"},
        }
    )
    shown = {
        "memory.max": 64 << 20,
        "memory.swap.max": 32 << 20,
        "memory.low": 32 << 20,
        "memory.high": 48 << 20,
        "cpu.weight": 100,
        "cpu.max": "50000 200000",
        "pids.max": 9,
    }
    assert {name: (directory(cgroup) / name).read_text().strip() for name in shown} == {name: str(value) for name, value in shown.items()}


def test_one_device_program_at_a_time(cgroup: Cgroup) -> None:
    cgroup.create({"devices": [DENY_ALL, NULL]})
    for rules in ([DENY_ALL], [DENY_ALL, NULL, NULL | {"minor": 5}]):
        cgroup.apply({"devices": rules})
        (fd,) = cgroup.entry_fds()
        programs = bpf.attached(fd)
        assert len(programs) == 1
        for descriptor in (fd, *programs):
            os.close(descriptor)
    assert inside(cgroup, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero", "full")]) == [0, 0, 1]


def test_every_kind_of_rule_passes_the_verifier(cgroup: Cgroup) -> None:
    kinds = [
        {"allow": allow, "type": kind, "access": access} | numbers
        for allow in (True, False)
        for kind in ("a", "b", "c")
        for access in ("r", "rw", "rwm")
        for numbers in ({}, {"major": 1}, {"major": 1, "minor": 3})
    ]
    cgroup.create({"devices": kinds})
    cgroup.apply({"devices": [{"allow": True, "access": "rwm"}, *reversed(kinds)]})


def test_a_refused_program_is_explained() -> None:
    dead_code = [bpf.Instruction(0xB7, imm=1), bpf.Instruction(0x95), bpf.Instruction(0xB7, imm=0), bpf.Instruction(0x95)]
    with pytest.raises(OSError, match="unreachable insn"):
        bpf.load_device_program(dead_code)


def test_a_device_can_be_taken_out_of_a_wildcard(cgroup: Cgroup) -> None:
    cgroup.create({"devices": [DENY_ALL, {"allow": True, "type": "c", "major": 1, "access": "rw"}, NULL | {"allow": False}]})
    assert inside(cgroup, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero")]) == [1, 0]


def test_inside_a_container_the_way_is_made_free(cgroup: Cgroup) -> None:
    cgroup.create({})

    def nested() -> tuple[str, bool]:
        unshare(CLONE_NEWCGROUP | CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        umount2("/sys/fs/cgroup")
        mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0)
        inner = open_cgroup("cgroupfs", "/corten/inner")
        inner.create({"memory": {"limit": 32 << 20}})
        limit = Path("/sys/fs/cgroup/corten/inner/memory.max").read_text()
        inner.delete()
        return limit, read_pids("/sys/fs/cgroup/init") == [os.getpid()]

    assert inside(cgroup, nested) == (f"{32 << 20}\n", True)
