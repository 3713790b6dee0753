"""Boots a machine with cgroup v2 and runs the suites there: control groups, devices, seccomp, the probe, containers, the engine."""

import pytest

from tests.support.vm import Machine, pytest_command, run_in_vm

pytestmark = [pytest.mark.privileged, pytest.mark.slow, pytest.mark.timeout(300)]

SUITES = [f"tests/kernel/{name}.py" for name in ("test_cgroup", "guest_cgroup_v2", "test_seccomp", "test_probe")]
# A container takes 4 s there: only those where the version of cgroups and the age of the kernel make a difference.
CONTAINERS = [f"tests/integration/test_spec_runs.py::test_{name}" for name in ("limits", "devices", "an_init_reaps_and_forwards")]


def test_the_suites_pass_on_cgroup_v2() -> None:
    result = run_in_vm(pytest_command(*SUITES, *CONTAINERS), timeout=240)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output


def test_the_systemd_manager_works_under_systemd() -> None:
    result = run_in_vm(pytest_command("tests/kernel/guest_systemd.py"), Machine(systemd=True), timeout=240)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output


@pytest.mark.parametrize("systemd", [False, True], ids=["alone", "under systemd"])
def test_the_engine_works_on_cgroup_v2(systemd: bool) -> None:
    """Some 140 s, of which the engine's own start takes 45."""
    result = run_in_vm(pytest_command("tests/integration/guest_engine.py"), Machine(systemd=systemd, memory_mb=1536), timeout=280)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output
