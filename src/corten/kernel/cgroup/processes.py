"""The loops that both cgroup versions share: signalling all processes inside, and removing directories that empty slowly."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable

from corten.kernel.cgroup.files import write_text

DELETE_PATIENCE = 5.0
FREEZE_PATIENCE = 10.0


def signal_each(pids: Iterable[int], number: int) -> int:
    """Sends `number` to each; returns how many were still there to get it."""
    reached = 0
    for pid in pids:
        try:
            os.kill(pid, number)
            reached += 1
        except ProcessLookupError:
            pass
    return reached


def kill_until_empty(list_pids: Callable[[], list[int]]) -> None:
    """SIGKILL in rounds, so that what a dying process forked meanwhile is met too. Zombies may remain; they need their parent."""
    seen: set[int] = set()
    while fresh := set(list_pids()) - seen:
        seen |= fresh
        signal_each(fresh, signal.SIGKILL)


def move(directory: str, pid: int) -> None:
    """Puts a process into the cgroup; one that has exited meanwhile is as good as moved."""
    try:
        write_text(f"{directory}/cgroup.procs", str(pid))
    except ProcessLookupError:
        pass


def read_pids(directory: str, file: str = "cgroup.procs") -> list[int]:
    """The ids in `directory` and the cgroups below it, ascending, each once; [] where it does not exist."""
    found: set[int] = set()
    for folder, _, _ in os.walk(directory):
        try:
            with open(f"{folder}/{file}", encoding="ascii") as lines:
                found.update(map(int, lines))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as error:
            if error.errno != errno.ENODEV:  # removed while being read
                raise
    return sorted(found)


def remove_tree(directory: str) -> None:
    """rmdir(2) of a cgroup and all cgroups below, deepest first, waiting while exiting processes still count as members."""
    deadline = time.monotonic() + DELETE_PATIENCE
    pause = 0.001
    while True:
        try:
            _rmdir(directory)
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        try:
            for folder, children, _ in os.walk(directory, topdown=False):
                for child in children:
                    _rmdir(f"{folder}/{child}")
            _rmdir(directory)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _rmdir(directory: str) -> None:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass


def wait_for(is_reached: Callable[[], bool], what: str) -> None:
    """Polls a state that the kernel reaches within microseconds as a rule. TimeoutError after FREEZE_PATIENCE."""
    deadline = time.monotonic() + FREEZE_PATIENCE
    pause = 0.0002
    while not is_reached():
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"not reached in {FREEZE_PATIENCE:.0f} s", what)
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
