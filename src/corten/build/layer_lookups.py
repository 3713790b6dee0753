"""Remembered lookups in layers. Layers never change, so that a lookup needs no mount the second time: a cached build mounts none."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, TypeVar

T = TypeVar("T")
MOST: Final = 4 << 20
"""Characters of all answers, as `repr` writes them."""
_EACH: Final = 200
"""What an answer takes beside its own characters."""


class LayerLookups:
    """Threads may share it. It forgets what was asked for least recently."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._known: OrderedDict[bytes, tuple[int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: tuple[object, ...], look: Callable[[], T]) -> T:
        """What `look` gives, or gave when `question` was asked before; `repr` tells questions apart. What it raises is not remembered."""
        key = sha256(repr(question).encode()).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                known: T = self._known[key][1]
                return known
        found = look()
        self._keep(key, len(repr(found)) + _EACH, found)
        return found

    def _keep(self, key: bytes, size: int, found: object) -> None:
        with self._lock:
            self._size += size - self._known.pop(key, (0, None))[0]
            self._known[key] = (size, found)
            while self._size > self._most:
                self._size -= self._known.popitem(last=False)[1][0]
