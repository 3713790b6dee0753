"""The systemd manager, in a virtual machine whose process 1 is systemd."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.kernel.cgroup import Cgroup, open_cgroup
from corten.kernel.cgroup.dbus import DBusError, Systemd
from tests.kernel.test_cgroup import DENY_ALL, NULL, inside, open_error, start

pytestmark = pytest.mark.privileged
UNIT = "corten-box.scope"


@pytest.fixture
def scope() -> Iterator[Cgroup]:
    made = open_cgroup("systemd", "test-deep.slice:corten:box")
    yield made
    made.kill_all()
    made.delete()
    assert not Path(made.paths()[""]).exists()


def shown(name: str) -> str:
    return subprocess.run(["systemctl", "show", "-P", name, UNIT], check=True, capture_output=True, text=True).stdout.strip()


def test_a_scope_with_limits(scope: Cgroup) -> None:
    resources = {"memory": {"limit": 64 << 20, "swap": 96 << 20}, "pids": {"limit": 20}, "cpu": {"quota": 50_000, "shares": 1024}}
    scope.create(resources | {"devices": [DENY_ALL, NULL]})
    assert scope.paths()[""] == f"/sys/fs/cgroup/test.slice/test-deep.slice/{UNIT}"
    pid = start(scope, signal.pause)
    deadline = time.monotonic() + 10
    while scope.pids() != [pid] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert scope.pids() == [pid]  # the placeholder has left
    properties = ("ActiveState", "Slice", "MemoryMax", "MemorySwapMax", "TasksMax", "CPUQuotaPerSecUSec", "CPUWeight", "Delegate")
    expected = ["active", "test-deep.slice", str(64 << 20), str(32 << 20), "20", "500ms", "100", "yes"]
    assert [shown(name) for name in properties] == expected
    assert inside(scope, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero")]) == [0, 1]
    scope.apply({"memory": {"limit": 128 << 20}})
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert scope.stats()["memory_limit"] == 128 << 20
    assert inside(scope, lambda: open_error("/dev/zero")) == 1
    scope.kill_all()
    os.waitpid(pid, 0)


def test_deleting_stops_what_is_left(scope: Cgroup) -> None:
    scope.create({})
    scope.delete()
    scope.delete()
    assert shown("ActiveState") == "inactive"


def test_a_refusal_is_told(scope: Cgroup) -> None:
    scope.create({})
    with pytest.raises(DBusError, match="already loaded"):
        open_cgroup("systemd", "test.slice:corten:box").create({})
    with Systemd() as systemd, pytest.raises(DBusError, match="not loaded"):
        systemd.call("StopUnit", "ss", "corten-nothing.scope", "replace")
