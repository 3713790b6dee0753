"""Exit codes: of children, on disk."""

import os
import signal
from pathlib import Path

from corten.kernel.process import pidfd_open
from corten.monitor.exits import exit_path, from_wait_status, load_exit, peek, reap, remove_exit, save_exit


def child(code: int) -> tuple[int, int]:
    pid = os.fork()
    if pid == 0:
        if code < 0:
            os.kill(os.getpid(), -code)
        os._exit(code)
    return pid, pidfd_open(pid)


def test_peeking_leaves_the_zombie() -> None:
    for code, expected in ((0, 0), (3, 3), (-signal.SIGKILL, 137)):
        _, pidfd = child(code)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        assert peek(pidfd) == expected
        assert peek(pidfd) == expected
        reap(pidfd)
        reap(pidfd)
        os.close(pidfd)


def test_wait_statuses() -> None:
    assert from_wait_status(3 << 8) == 3
    assert from_wait_status(9) == 137


def test_on_disk(tmp_path: Path) -> None:
    for exec_id in (None, "e1"):
        path = exit_path(str(tmp_path), exec_id)
        assert load_exit(path) is None
        save_exit(path, {"exit_code": 7, "finished_at": 5, "oom_killed": True})
        assert load_exit(path) == {"exit_code": 7, "finished_at": 5, "oom_killed": True}
        remove_exit(path)
        remove_exit(path)
    assert list(tmp_path.iterdir()) == []
