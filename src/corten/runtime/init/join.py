"""Joining a namespace that exists, by a path such as /proc/PID/ns/net."""

import os

from corten.errors import EngineError
from corten.kernel.namespaces import NAMESPACES, setns


def enter_namespace(path: str, kind: str) -> None:
    """setns(2); for "pid" it is the children that will be inside. The error names kind and path."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(fd, NAMESPACES[kind][0])
        finally:
            os.close(fd)
    except OSError as e:
        raise EngineError(f"joining the {kind} namespace {path}: {e}", reason="namespace-failed") from e
