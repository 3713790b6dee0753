"""The process' terminal: taken from the container's own devpts, and shown as its /dev/console."""

import os
import stat

from corten.errors import EngineError
from corten.kernel import mount as m
from corten.kernel.openat2 import make_file_in_root, open_in_root
from corten.kernel.pty import make_controlling, open_pty, set_window_size

_DEVPTS_SUPER_MAGIC = 0x1CD1


def open_console(root_fd: int, size: tuple[int, int], uid: int) -> tuple[int, int]:
    """(master, terminal) out of the devpts mounted at /dev/pts of the root. Refused when something else lies there."""
    directory = open_in_root(root_fd, "/dev/pts", os.O_RDONLY | os.O_DIRECTORY)
    try:
        if m.statfs_type(directory) != _DEVPTS_SUPER_MAGIC:
            raise EngineError("/dev/pts is no devpts: a terminal needs that mount", reason="no-devpts")
        ptmx = os.stat("ptmx", dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISCHR(ptmx.st_mode) or ptmx.st_rdev != os.makedev(5, 2):
            raise EngineError("/dev/pts/ptmx is not the terminal multiplexer", reason="no-devpts")
        master, terminal = open_pty("ptmx", dir_fd=directory)
    finally:
        os.close(directory)
    if any(size):
        set_window_size(master, *size)
    if uid:
        os.fchown(terminal, uid, -1)
    return master, terminal


def bind_console(root_fd: int, terminal: int) -> None:
    """Mount the terminal over /dev/console, which is made where missing; a link of that name is never followed out of the root."""
    target = make_file_in_root(root_fd, "/dev/console", 0o600)
    source = m.open_tree(terminal, "", m.OPEN_TREE_CLONE)
    m.move_mount(source, "", target, "")
    os.close(source)
    os.close(target)


def take_terminal(terminal: int) -> None:
    """The terminal becomes 0, 1, 2 and the session's controlling one; the caller leads a session."""
    make_controlling(terminal)
    for fd in (0, 1, 2):
        os.dup2(terminal, fd)
    if terminal > 2:
        os.close(terminal)
