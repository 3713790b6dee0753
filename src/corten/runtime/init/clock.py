"""A time namespace with linux.timeOffsets: time_namespaces(7)."""

import os
from typing import Any

from corten.errors import EngineError
from corten.kernel import namespaces as ns


def enter_time_namespace(offsets: dict[str, dict[str, int]]) -> None:
    """`offsets` has monotonic and boottime, each secs and nanosecs. They must be set before any process is inside, so:

    unshare (for children), write, then join it ourselves. Goes through the host's /proc.
    """
    ns.unshare(ns.CLONE_NEWTIME)
    lines = "".join(f"{clock} {_number(offset, 'secs')} {_number(offset, 'nanosecs')}\n" for clock, offset in offsets.items())
    try:
        if lines:
            fd = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, lines.encode())
            os.close(fd)
        fd = os.open("/proc/self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC)
        ns.setns(fd, ns.CLONE_NEWTIME)
        os.close(fd)
    except OSError as e:
        raise EngineError(f"linux.timeOffsets: {e}", reason="namespace-failed") from e


def _number(offset: dict[str, Any], name: str) -> int:
    return int(offset.get(name) or 0)
