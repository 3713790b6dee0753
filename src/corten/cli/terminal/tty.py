"""The controlling terminal: its size, and raw mode, in which every key goes to the container."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def size(fd: int) -> tuple[int, int]:
    """Rows and columns; 0, 0 when `fd` is no terminal."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns


@contextmanager
def raw_mode(fd: int) -> Iterator[None]:
    """The terminal passes every byte on unchanged and unechoed until the block ends, however it ends."""
    import termios
    from tty import CC, CFLAG, IFLAG, LFLAG, OFLAG

    before = termios.tcgetattr(fd)
    raw = [*before[:CC], list(before[CC])]
    raw[IFLAG] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )
    raw[OFLAG] &= ~termios.OPOST
    raw[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[CFLAG] = raw[CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[CC][termios.VMIN], raw[CC][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSADRAIN, raw)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
