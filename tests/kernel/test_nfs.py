"""Boots a machine whose kernel knows NFS, and uses an export as a volume there."""

import pytest

from tests.support.vm import NFS, pytest_command, run_in_vm

pytestmark = [pytest.mark.privileged, pytest.mark.slow, pytest.mark.timeout(200)]


def test_volumes_on_nfs() -> None:
    result = run_in_vm(pytest_command("tests/kernel/guest_nfs.py"), timeout=180, more_modules=NFS)
    assert result.status == 0, result.output + result.console
    assert " skipped" not in result.output
