"""Leases: work under way (a load, a pull, a build) holds the layers that it will need. They end with the process, so memory is enough."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NewType

from corten.ids import DiffId

Lease = NewType("Lease", str)
"""Work under way that holds layers."""


class Leases:
    """`add` and `held` are called inside a database transaction, which makes holding and collecting one at a time."""

    def __init__(self) -> None:
        self._held: dict[Lease, set[DiffId]] = {}

    @contextmanager
    def begun(self) -> Iterator[Lease]:
        """A lease that ends with the block."""
        lease = Lease(secrets.token_hex(8))
        self._held[lease] = set()
        try:
            yield lease
        finally:
            del self._held[lease]

    def add(self, lease: Lease, diff_id: DiffId) -> None:
        self._held[lease].add(diff_id)

    def held(self) -> set[DiffId]:
        """Everything that any lease holds."""
        return {diff_id for held in list(self._held.values()) for diff_id in list(held)}
