"""Pseudo-terminals, taken from a devpts mount that the caller names (a container has its own)."""

import fcntl
import os
import struct
import termios

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_TIOCGPTN = 0x80045430


def open_pty(ptmx: str = "/dev/ptmx", *, dir_fd: int | None = None) -> tuple[int, int]:
    """(master, terminal), both close-on-exec and the caller's. The terminal is opened through the master (TIOCGPTPEER):

    no path is looked up for it, so nobody can put another file in its place.
    """
    master = os.open(ptmx, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | (0 if dir_fd is None else os.O_NOFOLLOW), dir_fd=dir_fd)
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        peer: int = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        os.close(master)
        raise
    return master, peer


def pty_number(master: int) -> int:
    """N of the terminal's /dev/pts/N."""
    number: int = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0" * 4))[0]
    return number


def get_window_size(fd: int) -> tuple[int, int]:
    """(height, width) in characters."""
    height, width, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    return height, width


def set_window_size(fd: int, height: int, width: int) -> None:
    """Also raises SIGWINCH in the foreground process group."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def make_controlling(fd: int) -> None:
    """Make the terminal the session leader's (the caller's) controlling one."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
