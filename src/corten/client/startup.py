"""Starting the daemon on demand: when nobody listens on Corten's own socket and the user did not name another engine."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

from corten.client.errors import CannotConnect

PATIENCE = 15.0
"""Seconds until a daemon that was started must answer."""
LOG_NAME = "cortend.log"


def daemon_command() -> list[str]:
    """`cortend` beside this Python when it is installed there, its module otherwise."""
    beside = os.path.join(os.path.dirname(sys.executable), "cortend")
    return [beside] if os.access(beside, os.X_OK) else [sys.executable, "-m", "corten.daemon"]


def start_daemon(socket_path: str, *, answers: Callable[[], bool], command: Sequence[str] = (), patience: float = PATIENCE) -> None:
    """Starts a daemon, detached, and returns when `answers()`. Two callers at once start one.

    Its output goes to `cortend.log` beside the socket. Raises CannotConnect: not root, or the daemon ended or stayed silent.
    """
    folder = os.path.dirname(socket_path)
    if os.geteuid() != 0:
        raise CannotConnect(
            f"Cannot connect to the Corten daemon at unix://{socket_path}. Is cortend running?\n"
            "Hint: only root can start it: sudo cortend, or run this command once with sudo"
        )
    os.makedirs(folder, mode=0o755, exist_ok=True)
    log = os.path.join(folder, LOG_NAME)
    with _locked(os.path.join(folder, "start.lock")):
        if not answers():
            _start_and_wait(command or daemon_command(), log, answers=answers, patience=patience)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Held while a daemon is being started; waits for another caller's."""
    from fcntl import LOCK_EX, flock

    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(fd, LOCK_EX)
        yield
    finally:
        os.close(fd)


def _start_and_wait(command: Sequence[str], log: str, *, answers: Callable[[], bool], patience: float) -> None:
    pid = _spawn(command, log)
    limit = monotonic() + patience
    while monotonic() < limit:
        if answers():
            return
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            raise CannotConnect(f"cortend could not start: {_last_words(log)}\nHint: its whole output is in {log}")
        sleep(0.01)
    raise CannotConnect(f"cortend was started (process {pid}) but does not answer after {patience:.0f} s\nHint: its output is in {log}")


def _spawn(command: Sequence[str], log: str) -> int:
    """A session of its own, no terminal, no stdin; the lock's descriptor is close-on-exec."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir("/")  # the daemon must not keep the user's folder busy
        return os.posix_spawn(command[0], list(command), os.environ, file_actions=actions, setsid=True)
    finally:
        os.fchdir(here)
        os.close(here)


def _last_words(log: str) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended without a word"
