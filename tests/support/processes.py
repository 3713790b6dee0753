"""Processes of a test, found by a mark in their environment and by descent, so that no other process is ever touched."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

SLEEP = 10**6 + os.getpid()
"""Seconds that a test's step or container sleeps to be found by `sleeping`: nothing else on this machine sleeps as long."""
MARK = "CORTEN_TEST_RUN"
"""The environment variable whose value marks everything that a test's daemon starts."""


def marked(value: str) -> set[int]:
    """Processes that carry the mark, and their descendants (a container's program has an environment of its own)."""
    wanted = f"{MARK}={value}".encode()
    parents = {pid: parent for pid in all_pids() if (parent := parent_of(pid)) is not None}
    found = {pid for pid in parents if wanted in read(pid, "environ").split(b"\0")}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def parent_of(pid: int) -> int | None:
    """None for a process that is gone or a zombie."""
    fields = read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 and fields[0] != b"Z" else None


def command_line(pid: int) -> str:
    return read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def sleeping() -> list[int]:
    """Processes that run `sleep` for SLEEP seconds, also those that outlived the daemon that started them."""
    return [pid for pid in all_pids() if command_line(pid) == f"sleep {SLEEP}"]


def read(pid: int, name: str) -> bytes:
    """A file of /proc/PID, b"" when the process is gone or not ours."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_marked(value: str, seconds: float = 5.0) -> None:
    """Kills until none is left. Raises AssertionError naming those that stay."""
    deadline = time.monotonic() + seconds
    while pids := marked(value):
        assert time.monotonic() < deadline, f"processes that would not die: {[command_line(pid) for pid in pids]}"
        kill(pids)
        time.sleep(0.02)
