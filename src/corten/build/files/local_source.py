"""A local context: the user's own folder, read in place. Anything in it may change at any time.

Where a process is to see it, or where it changes while it is read, it is copied once, and the build goes on with the copy.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from corten.build.files.client_user import ClientUser

T = TypeVar("T")


@dataclass(slots=True)
class LocalSource(Generic[T]):
    """`copy` makes a private tree of what is there and not left out. `reader` is whose folder it is, None for root's."""

    copy: Callable[[], T]
    user: ClientUser | None = None
    copied: T | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copy_once(self) -> T:
        """The copy. Blocks; it is made once, whoever asks."""
        with self._lock:
            if self.copied is None:
                self.copied = self.copy()
            return self.copied
