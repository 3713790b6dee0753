"""How a process ended: peeked at without reaping, put on disk before anybody is told, and only then reaped.

Killed anywhere in between, the next one in charge finds either the zombie or the file.
"""

import json
import os

from corten.kernel.process import exit_info, pidfd_send_signal
from corten.monitor.values import ExitRecord

EXIT_FILE = "exit.json"
MONITOR_NAME = "corten-monitor"


def peek(pidfd: int) -> int | None:
    """The exit code of our zombie child, which stays a zombie; None while it lives. ChildProcessError if it is not our child."""
    found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status


def reap(pidfd: int) -> None:
    """Let the zombie go, if it is ours."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        pass


def peek_foreign(pidfd: int) -> int | None:
    """The exit code of a process that somebody else has reaped; None if it is not to be had (kernel before 6.15)."""
    status = exit_info(pidfd)
    return None if status is None else from_wait_status(status)


def from_wait_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def exit_path(runtime_dir: str, exec_id: str | None) -> str:
    """`exit.json` for the container itself; `exit-<exec id>.json` for an exec."""
    return os.path.join(runtime_dir, EXIT_FILE if exec_id is None else f"exit-{exec_id}.json")


def save_exit(path: str, record: ExitRecord) -> None:
    """By rename, so that it is whole or not there; not synced: what it tells of does not outlive the machine's crash either."""
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(record).encode())
    finally:
        os.close(fd)
    os.rename(fresh, path)


def load_exit(path: str) -> ExitRecord | None:
    try:
        with open(path, "rb") as f:
            record: ExitRecord = json.loads(f.read())
    except FileNotFoundError:
        return None
    return record


def remove_exit(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def orphan_path(runtime_dir: str, pid: int) -> str:
    """Where the launcher puts the exit code of a process that it had to reap in a dead monitor's place."""
    return os.path.join(runtime_dir, f"orphan-{pid}.json")


def has_begun(pid: int) -> bool | None:
    """Whether a process that we (or a monitor like us) forked to become a container has executed the user's program.

    Until then it bears our own name (comm); a zombie still shows it. None when it is gone.
    """
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            return f.read().rstrip("\n") != MONITOR_NAME
    except (FileNotFoundError, ProcessLookupError):
        return None


def send_signal(pidfd: int, number: int) -> None:
    """To a process that may be gone."""
    try:
        pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
