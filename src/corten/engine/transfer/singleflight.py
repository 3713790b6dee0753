"""One blob is fetched once, however many pulls want it at the same time."""

import threading
from collections.abc import Iterable
from typing import Protocol, TypeVar

from corten.ids import Digest


class HasDigest(Protocol):
    @property
    def digest(self) -> Digest: ...


Blob = TypeVar("Blob", bound=HasDigest)


class InFlight:
    """Blobs that some pull is fetching now. Whoever claims one must release it, whatever came of it."""

    def __init__(self) -> None:
        self._claimed: set[Digest] = set()
        self._changed = threading.Condition()

    def claim(self, blobs: Iterable[Blob]) -> list[Blob]:
        """Those that nobody else is fetching; they are the caller's now."""
        with self._changed:
            mine = []
            for blob in blobs:
                if blob.digest not in self._claimed:
                    self._claimed.add(blob.digest)
                    mine.append(blob)
            return mine

    def release(self, blobs: Iterable[Blob]) -> None:
        with self._changed:
            self._claimed.difference_update(blob.digest for blob in blobs)
            self._changed.notify_all()

    def names(self) -> frozenset[Digest]:
        """All that is being fetched now."""
        with self._changed:
            return frozenset(self._claimed)

    def wait_for_change(self, seconds: float) -> None:
        """Until somebody releases something, or a while."""
        with self._changed:
            self._changed.wait(seconds)
