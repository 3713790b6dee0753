"""What a pull or push tells its client while it goes on, at a pace that a terminal can follow."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """One line: `id` names a layer (12 digits) or is "". `total` 0 = no bar."""

    status: str
    id: str = ""
    current: int = 0
    total: int = 0


Report = Callable[[Progress], None]
"""Called from any thread."""


class Meter:
    """Counts one layer's bytes in one phase ("Downloading", "Extracting", "Pushing") and reports now and then. Thread-safe."""

    def __init__(self, report: Report, status: str, layer: str, total: int, *, start: int = 0) -> None:
        self._report = report
        self._status = status
        self._layer = layer
        self._total = total
        self._current = start
        self._last = 0.0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._current = min(self._total, self._current + count)
            now = time.monotonic()
            if now - self._last < INTERVAL and self._current < self._total:
                return
            self._last = now
            current = self._current
        self._report(Progress(self._status, self._layer, current, self._total))
