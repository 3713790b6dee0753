"""What the daemon does to its own process: limits, memory, the lock on the data root, the pidfile, the log."""

import fcntl
import gc
import logging
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from corten.config import Config
from corten.errors import Unavailable
from corten.kernel.libc import libc

_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1  # malloc.h
_LARGE_BUFFER = 1 << 19
_KEPT_FREE = 16 << 20


def raise_file_limit() -> None:
    """As many descriptors as the kernel lets us have: shells give 1024, and each client and container takes a few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def settle_memory() -> None:
    """What is there by now stays for good: no collection need look at it again, and threads share one heap (0.3 and 1 MB).

    The buffers of transfers stay out of that heap, in which they would leave holes (15 to 60 MB at the height of a pull). Smaller pieces
    come and go in it without a page fault for each 4 KiB: four fifths of the CPU time of an export. `release_memory` ends that.
    """
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BUFFER)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    gc.collect()
    gc.freeze()


def configure_logging(config: Config) -> None:
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR, "fatal": logging.CRITICAL}
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    if config.log_format == "json":
        line = '{"time":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s","msg":"%(message)s"}'
    logging.basicConfig(level=levels[config.log_level], format=line, stream=sys.stderr)


@contextmanager
def locked(data_root: str) -> Iterator[None]:
    """One daemon to a data root: a second one would take the first one's containers for lost."""
    os.makedirs(data_root, mode=0o710, exist_ok=True)
    fd = os.open(os.path.join(data_root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"another cortend uses {data_root}", reason="data-root-in-use", hint="stop it, or give this one another --data-root"
            ) from None
        yield
    finally:
        os.close(fd)


@contextmanager
def pidfile(path: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        os.unlink(path)
