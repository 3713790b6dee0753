"""Boots a machine with cgroup v2 and runs the suites there: control groups, the device program, seccomp, the probe."""

import pytest

from tests.support.vm import run_in_vm

pytestmark = [pytest.mark.privileged, pytest.mark.slow, pytest.mark.timeout(300)]

SUITES = "tests/kernel/test_cgroup.py tests/kernel/guest_cgroup_v2.py tests/kernel/test_seccomp.py tests/kernel/test_probe.py"


def test_the_suites_pass_on_cgroup_v2() -> None:
    result = run_in_vm(f".venv/bin/python -m pytest --privileged {SUITES}", timeout=240)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output
