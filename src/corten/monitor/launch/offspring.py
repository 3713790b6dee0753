"""Forking from the launcher: the child keeps the descriptors that are named and nothing else, and never returns."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable

from corten.kernel.fds import close_range

_STANDARD = 3


def fork_child(keep: Iterable[int], run: Callable[[], None]) -> int:
    """The pid of a child that does `run` and exits, 0 or (after a traceback on stderr) 1.

    Objects of the parent that own descriptors must stay alive in the child, which has closed those under them: `run` is called
    with all frames of the parent still on the stack.
    """
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_all_but(keep)
        run()
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)
    return 0


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor from 3 on that is not in `keep`."""
    first = _STANDARD
    for fd in sorted(set(keep)):
        if fd > first:
            close_range(first, fd - 1)
        first = max(first, fd + 1)
    close_range(first)
