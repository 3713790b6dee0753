"""Signals on their way to a container: the window's size, and with --sig-proxy everything else."""

import os
import signal
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from types import FrameType

from corten.cli.terminal.tty import size
from corten.client.api import Api
from corten.client.errors import ApiError, CannotConnect

KEPT = frozenset(
    {"SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "SIGTRAP"}
)
"""Ours to die of or to handle; not passed on."""
PATIENCE = 3
"""So many SIGINT and SIGTERM in a row end us even if the container does not care."""
ATTEMPTS = 10


@contextmanager
def forwarded(api: Api, container: str) -> Iterator[None]:
    """Every signal that we get goes to the container. `api` must not be in use by anybody else: the handler calls it."""
    endings = 0

    def forward(number: int, _: FrameType | None) -> None:
        nonlocal endings
        endings += number in {signal.SIGINT, signal.SIGTERM}
        if endings >= PATIENCE:
            os.write(2, b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
            os._exit(1)
        try:
            api.post(f"/containers/{container}/kill", {"signal": _name(number)})
        except (ApiError, CannotConnect):
            pass  # not running yet, or no more

    before = {number: signal.signal(number, forward) for number in _forwardable()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forwardable() -> list[int]:
    kept = {int(getattr(signal, name)) for name in KEPT}
    return sorted(int(s) for s in signal.valid_signals() if int(s) not in kept)


def _name(number: int) -> str:
    """As Docker names it; the real-time signals between have numbers only."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


@contextmanager
def sized(api: Api, path: str, fd: int, complain: Callable[[], None]) -> Iterator[None]:
    """The pty of `path` (`/containers/ID`, `/exec/ID`) has the size of our terminal, now and whenever that changes.

    A process that was only just started may not have its terminal yet: then it is tried again for half a second, beside the output,
    before `complain` is called. `api` as in `forwarded`.
    """
    ended = False

    def try_again(own: Api) -> None:
        for attempt in range(ATTEMPTS):
            sleep(0.01 * (attempt + 1))
            if ended or resize(own, path, fd):
                return
        complain()

    if not resize(api, path, fd):
        start_new_thread(try_again, (api.sibling(),))
    before = signal.signal(signal.SIGWINCH, lambda *_: resize(api, path, fd))
    try:
        yield
    finally:
        ended = True
        signal.signal(signal.SIGWINCH, before)


def resize(api: Api, path: str, fd: int, *, by: int = 0) -> bool:
    """Gives the pty our size plus `by`; False when the engine cannot do it (yet). Without a terminal there is nothing to do."""
    rows, columns = size(fd)
    if not rows and not columns:
        return True
    try:
        api.post(f"{path}/resize", {"h": str(rows + by), "w": str(columns + by)})
    except (ApiError, CannotConnect):
        return False
    return True
