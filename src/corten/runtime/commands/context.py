"""What every subcommand is handed, and the steps that several of them share."""

import os
import socket
from typing import NamedTuple

from corten.errors import Invalid
from corten.kernel.fds import send_message
from corten.runtime.commands.log import Log
from corten.runtime.commands.options import Parsed
from corten.runtime.commands.terminal import own_size
from corten.runtime.runtime import Runtime
from corten.runtime.values import Stdio


class Context(NamedTuple):
    runtime: Runtime
    log: Log
    options: Parsed

    def container_id(self) -> str:
        if not self.options.arguments:
            raise Invalid("a container id is wanted", reason="bad-arguments", hint="see --help")
        return self.options.arguments[0]


def stdio(context: Context, *, terminal: bool) -> Stdio:
    """Ours, and fds 3 and on as LISTEN_FDS and --preserve-fds say. A terminal gets our size."""
    count = (context.options.number("preserve-fds") or 0) + _listen_fds()
    height, width = own_size() if terminal else (0, 0)
    return Stdio(0, 1, 2, terminal, height, width, tuple(range(3, 3 + count)))


def listen_environment() -> list[str]:
    """What sd_listen_fds(3) in the container wants to see; the process is pid 1 there."""
    names = os.environ.get("LISTEN_FDNAMES")
    passed = [f"LISTEN_FDS={_listen_fds()}", "LISTEN_PID=1"] if _listen_fds() else []
    return [*passed, f"LISTEN_FDNAMES={names}"] if passed and names else passed


def _listen_fds() -> int:
    text = os.environ.get("LISTEN_FDS", "")
    return int(text) if text.isdecimal() else 0


def write_pid_file(path: str, pid: int) -> None:
    """By rename: whoever waits for it never reads half a number."""
    if not path:
        return
    hidden = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}")
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, str(pid).encode())
    finally:
        os.close(fd)
    os.rename(hidden, path)


def send_pidfd(path: str, pidfd: int) -> None:
    """To --pidfd-socket."""
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(path)
            send_message(sock, b"pidfd", [pidfd])
