"""Sockets of the test process in an engine's network namespace: what listens there, the engine reaches by loopback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from corten.kernel.namespaces import CLONE_NEWNET, open_namespace, setns


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Sockets that this thread makes in the block belong to the network namespace of `pid`."""
    own, other = open_namespace("network", "thread-self"), open_namespace("network", pid)
    try:
        setns(other, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(own, CLONE_NEWNET)
    finally:
        os.close(own)
        os.close(other)
