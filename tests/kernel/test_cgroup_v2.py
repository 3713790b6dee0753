"""Boots a machine with cgroup v2 and runs the suites there: control groups, devices, seccomp, the probe, containers."""

import pytest

from tests.support.vm import pytest_command, run_in_vm

pytestmark = [pytest.mark.privileged, pytest.mark.slow, pytest.mark.timeout(300)]

SUITES = [f"tests/kernel/{name}.py" for name in ("test_cgroup", "guest_cgroup_v2", "test_seccomp", "test_probe")]
# A container takes 4 s there: only those where the version of cgroups and the age of the kernel make a difference.
CONTAINERS = [f"tests/integration/test_spec_runs.py::test_{name}" for name in ("limits", "devices", "an_init_reaps_and_forwards")]


def test_the_suites_pass_on_cgroup_v2() -> None:
    result = run_in_vm(pytest_command(*SUITES, *CONTAINERS), timeout=240)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output


def test_the_systemd_manager_works_under_systemd() -> None:
    result = run_in_vm(pytest_command("tests/kernel/guest_systemd.py"), timeout=240, systemd=True)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output
