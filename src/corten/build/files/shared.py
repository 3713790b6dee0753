"""A tree that lies where others work: the user's own folder. It is only read, and anything in it may change at any time.

Where that does not do (a process is to see it, or it never keeps still) it is copied, once, and the build goes on with the copy.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from corten.build.files.readers import Reader

T = TypeVar("T")


@dataclass(slots=True)
class Shared(Generic[T]):
    """`copy` makes a private tree of what is there and not left out. `reader` is whose folder it is, None for root's."""

    copy: Callable[[], T]
    reader: Reader | None = None
    settled: T | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self) -> T:
        """The copy. Blocks; it is made once, whoever asks."""
        with self._lock:
            if self.settled is None:
                self.settled = self.copy()
            return self.settled
