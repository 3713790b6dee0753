"""Stock Debian kernels in virtual machines, systemd as process 1, and on each the whole product through the stock docker CLI."""

import shutil
from pathlib import Path

import pytest

from tests.machines.guest import parse_checks
from tests.machines.prepared import prepare
from tests.support.vm import Machine, make_disk, run_in_vm

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(1800)]
MACHINES = {
    "5.10 (Debian 11)": Machine("bullseye"),
    "5.10 (Debian 11), cgroup v1": Machine("bullseye", cgroup="hybrid"),
    "6.1 (Debian 12)": Machine("bookworm"),
    "6.12 (Debian 13)": Machine("trixie"),
    "newest (Debian sid)": Machine("sid"),
}
IN_MAKE_TEST = "6.1 (Debian 12)"
CHECKS = parse_checks(Path(__file__).with_name("checks.txt").read_text())


def test_the_table_is_whole() -> None:
    names = [(lane, check.name) for lane, checks in CHECKS.items() for check in checks]
    assert len(set(names)) == len(names) >= 120
    assert all(check.command and check.expected for checks in CHECKS.values() for check in checks)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == IN_MAKE_TEST else pytest.mark.slow) for n in MACHINES])
def test_all_checks_pass(name: str, tmp_path: Path) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64 on this machine: nothing is tested on other kernels")
    machine = MACHINES[name]._replace(systemd=True, memory_mb=2048, disk=make_disk(tmp_path / "disk", 2048), all_modules=False)
    prepared = prepare()
    outputs = []
    for phase in ("all", "rebooted"):
        result = run_in_vm(f".venv/bin/python -m tests.machines.guest {prepared} {phase}", machine, timeout=1500)
        print(result.output)
        outputs.append(result.output)
        assert result.status == 0, result.output + result.console[-2000:]
    assert sum(line.startswith("ok ") for line in "\n".join(outputs).splitlines()) == sum(map(len, CHECKS.values()))
