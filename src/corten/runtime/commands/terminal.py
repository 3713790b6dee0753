"""The master end of a container's terminal: given to a console socket, or relayed to the terminal that the command runs in."""

import contextlib
import os
import select
import signal
import socket
import termios
import tty
from collections.abc import Iterator

from corten.errors import EngineError
from corten.kernel.fds import send_message
from corten.kernel.pty import get_window_size, set_window_size


def send_console(path: str, master: int, name: str = "/dev/ptmx") -> None:
    """To whoever listens at --console-socket (conmon, containerd's shim): one message with the fd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect(path)
        except OSError as e:
            raise EngineError(f"console socket {path}: {e}", reason="bad-console-socket") from e
        send_message(sock, name.encode(), [master])


def own_size() -> tuple[int, int]:
    """(height, width) of the terminal this command runs in; (0, 0) without one."""
    for fd in (0, 1, 2):
        if os.isatty(fd):
            return get_window_size(fd)
    return 0, 0


@contextlib.contextmanager
def _raw_terminal(fd: int) -> Iterator[None]:
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    tty.setraw(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def relay(master: int, pidfd: int) -> None:
    """Copy between our terminal and the container's until its process has ended and all output is read."""
    signal.signal(signal.SIGWINCH, lambda *_: set_window_size(master, *own_size()) if any(own_size()) else None)
    poll = select.poll()
    for fd in (0, master, pidfd):
        poll.register(fd, select.POLLIN)
    with _raw_terminal(0):
        while True:
            for fd, _ in poll.poll():
                if fd == master and not _copy(master, 1):
                    return
                if fd == 0 and not _copy(0, master):
                    poll.unregister(0)
                if fd == pidfd:
                    poll.unregister(pidfd)
                    poll.unregister(master)
                    _drain(master)
                    return


def _copy(source: int, target: int) -> bool:
    """Pass on what there is. False at the end of the source."""
    try:
        data = os.read(source, 65536)
    except OSError:  # EIO: the terminal's last user is gone
        return False
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return bool(data)


def _drain(master: int) -> None:
    os.set_blocking(master, False)
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            return
        if not data:
            return
        os.write(1, data)
