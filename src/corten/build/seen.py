"""What was found in layers. Layers never change, so that an answer holds for as long as it is remembered: a cached build mounts none."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

T = TypeVar("T")
MOST: Final = 2000


class Seen:
    """Threads may share it. It forgets what was asked for least recently."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, question: Hashable, look: Callable[[], T]) -> T:
        """What `look` gives, or gave when `question` was asked before. What it raises is not remembered."""
        with self._lock:
            if question in self._known:
                self._known.move_to_end(question)
                known: T = self._known[question]
                return known
        found = look()
        with self._lock:
            self._known[question] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
