"""What the launcher holds for a monitor, note by note."""

import os
from pathlib import Path

from corten.monitor.keeper import TaskRecord
from corten.monitor.launch.held import HeldTable


def record(*, pid: int = 0, over: bool = False, exec_id: str = "") -> TaskRecord:
    return {
        "id": "c",
        "exec_id": exec_id,
        "tty": False,
        "stdin": False,
        "stdin_once": False,
        "log": None,
        "spec": {"bundle": "", "state_root": "", "root_mounts": []},
        "pid": pid,
        "started_at": 0,
        "started": True,
        "over": over,
    }


def is_open(fd: int) -> bool:
    return Path(f"/proc/self/fd/{fd}").exists()


def null() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def hold(table: HeldTable, what: TaskRecord, *roles: str) -> list[int]:
    fds = [null() for _ in roles]
    given = list(fds)
    assert table.take({"note": "hold", "key": f"c/{what['exec_id']}", "record": what, "roles": list(roles)}, given)
    assert given == []
    return fds


def test_a_later_record_replaces_and_descriptors_add_up() -> None:
    table = HeldTable()
    pipes = hold(table, record(), "stdout", "stderr")
    more = hold(table, record(pid=7), "pidfd")
    assert sorted(table.all_fds()) == sorted(pipes + more)
    assert table.find_pid(7) == record(pid=7)
    assert table.find_running("c") == record(pid=7)
    table.close()
    assert not any(map(is_open, pipes + more))


def test_a_descriptor_that_is_dropped_is_closed() -> None:
    table = HeldTable()
    (stdin,) = hold(table, record(pid=7), "stdin")
    assert table.take({"note": "drop", "key": "c/", "role": "stdin"}, [])
    assert not is_open(stdin)
    assert table.all_fds() == []


def test_over_keeps_the_record_only() -> None:
    table = HeldTable()
    fds = hold(table, record(pid=7), "stdout")
    assert table
    table.take({"note": "over", "key": "c/", "record": record(pid=7, over=True)}, [])
    assert not table
    assert not is_open(fds[0])
    assert table.entries() == [(record(pid=7, over=True), {})]
    assert table.find_pid(7) is None
    assert table.find_running("c") is None


def test_release_forgets() -> None:
    table = HeldTable()
    fds = hold(table, record(pid=7, exec_id="e"), "stdout")
    table.take({"note": "release", "key": "c/e"}, [])
    assert table.entries() == []
    assert not is_open(fds[0])


def test_other_notes_are_not_its_business() -> None:
    assert not HeldTable().take({"note": "compress"}, [])
