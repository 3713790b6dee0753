"""Limits that a machine cannot set."""

from typing import Any

import pytest

from corten.engine.spec import discard_unsupported
from corten.engine.values.container import Resources, ThrottleDevice
from corten.kernel.cgroup.support import LIMITS

THROTTLE = (ThrottleDevice(path="/dev/sda", rate=1),)
NOT_MOUNTED = "or the cgroup is not mounted."


def test_where_all_is_supported_nothing_changes() -> None:
    everything = Resources(memory=1, memory_swap=2, cpu_shares=3, pids_limit=4, blkio_weight=5, oom_kill_disable=True, cpuset_cpus="0")
    assert discard_unsupported(everything, LIMITS) == (everything, [])


@pytest.mark.parametrize(
    ("lacks", "asked", "left", "warnings"),
    [
        (
            "swap",
            {"memory": 9, "memory_swap": 18},
            {"memory": 9, "memory_swap": -1},
            [f"Your kernel does not support swap limit capabilities {NOT_MOUNTED} Memory limited without swap."],
        ),
        (
            "memory",
            {"memory": 9, "memory_swap": 18},
            {},
            [f"Your kernel does not support memory limit capabilities {NOT_MOUNTED} Limitation discarded."],
        ),
        (
            "blkio-weight",
            {"blkio_weight": 500, "memory": 9},
            {"memory": 9},
            [f"Your kernel does not support Block I/O weight {NOT_MOUNTED} Weight discarded."],
        ),
        (
            "blkio-throttle",
            {"blkio_device_read_bps": THROTTLE},
            {},
            [f"Your kernel does not support BPS Block I/O read limit {NOT_MOUNTED} Block I/O BPS read limit discarded."],
        ),
        ("cpu-quota", {"cpu_quota": 5}, {}, ["Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."]),
        ("pids", {"pids_limit": -1}, {}, []),
        ("pids", {"pids_limit": 5}, {}, [f"Your kernel does not support PIDs limit capabilities {NOT_MOUNTED} PIDs limit discarded."]),
        ("oom-kill-disable", {"oom_kill_disable": False}, {}, []),
        ("oom-kill-disable", {"oom_kill_disable": True}, {}, ["Your kernel does not support OomKillDisable. OomKillDisable discarded."]),
        ("swappiness", {}, {}, []),
    ],
)
def test_what_is_missing_is_dropped_and_told(lacks: str, asked: dict[str, Any], left: dict[str, Any], warnings: list[str]) -> None:
    assert discard_unsupported(Resources(**asked), LIMITS - {lacks}) == (Resources(**left), warnings)
