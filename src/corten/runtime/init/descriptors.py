"""Which descriptors survive into the program: 0, 1, 2 and those that were asked for, nothing else."""

import fcntl
import os

from corten.kernel.fds import close_range
from corten.runtime.values import Stdio


def close_all_but(keep: list[int]) -> None:
    """Close every fd from 3 on that is not in `keep`."""
    first = 3
    for fd in sorted({fd for fd in keep if fd > 2}):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def place_stdio(io: Stdio) -> None:
    """0, 1 and 2, without close-on-exec. They are copied upwards first where one would be overwritten before it is read."""
    wanted = list(io[:3])
    if any(source < 3 and source != place for place, source in enumerate(wanted)):
        wanted = [fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 3) for source in wanted]
    for place, source in enumerate(wanted):
        if source == place:
            os.set_inheritable(place, True)
        else:
            os.dup2(source, place)
    for source in set(wanted):
        if source > 2:
            os.close(source)


def move_clear(fd: int, count: int) -> int:
    """The fd itself, or a copy of it in its place, out of the way of fds 3 to 3 + `count`."""
    if fd < 0 or fd >= 3 + count:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + count)
    os.close(fd)
    return moved


def place_preserved(preserved: tuple[int, ...]) -> None:
    """The preserved fds become 3, 4, ...: the last thing before exec, when no descriptor of ours has a low number any more."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + len(preserved)) for fd in preserved]
    for place, fd in enumerate(high, 3):
        os.dup2(fd, place)
        os.close(fd)
