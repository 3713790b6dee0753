"""The descriptors of a process' streams, by role: by these names the launcher keeps second copies and a successor takes over.

stdin, stdout, stderr     our ends of the pipes            spool1, spool2   the output streams' spools
console, relay0, relay1   a terminal's master, and the pipe between it and spool1
"""

import fcntl
import os
from typing import NamedTuple

_PIPE_SIZE = 256 << 10
_F_SETPIPE_SZ = 1031

Roles = dict[str, int]


class ChildEnds(NamedTuple):
    """What becomes the process' 0, 1 and 2; all -1 with a terminal, which the runtime makes."""

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1

    def close(self) -> None:
        for fd in self:
            if fd >= 0:
                os.close(fd)


class Wishes(NamedTuple):
    """Which streams a process has. One that is not wanted is /dev/null."""

    tty: bool
    stdin: bool = True
    stdout: bool = True
    stderr: bool = True


def open_streams(wishes: Wishes) -> tuple[Roles, ChildEnds]:
    """New pipes and spools: (our ends, the child's, which are closed when it has them)."""
    if wishes.tty:
        relay = os.pipe()
        for fd in relay:
            os.set_blocking(fd, False)
        return {"spool1": _spool(), "relay0": relay[0], "relay1": relay[1]}, ChildEnds()
    roles: Roles = {}
    child = {}
    null = -1
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if not getattr(wishes, name):
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) if null < 0 else os.dup(null)
            child[name] = null
            continue
        read, write = os.pipe()
        ours, child[name] = (read, write) if number else (write, read)
        os.set_blocking(ours, False)
        roles[name] = ours
        if number:
            _widen(ours)
            roles[f"spool{number}"] = _spool()
    return roles, ChildEnds(**child)


def _spool() -> int:
    return os.memfd_create("corten-spool")


def _widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_SIZE)
    except OSError:  # beyond what the system grants to pipes: they stay at 64 KiB
        pass
