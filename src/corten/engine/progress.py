"""Progress as Docker's clients draw it: messages of a stream, and the bar in each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from corten.units import human_size

_BAR: Final = 50
_INTERVAL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one thing is: `status` says what is done with `id`, `current` of `total` bytes (0 = not known, or nothing to count)."""

    id: str
    status: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A line of text, ending in a line end where it stands alone."""

    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """A status without progress, e.g. the id of an imported image or what a pull came to."""

    status: str
    id: str = ""


Message = Progress | Note | Status
Report = Callable[[Message], None]
"""Whom to tell; may be called from any thread."""


def bar(current: int, total: int) -> str:
    """`[=====>          ]  3.08MB/4.086MB`, or only the bytes when the total is unknown."""
    if total <= 0:
        return f"{human_size(current):>8}" if current > 0 else ""
    filled = min(_BAR, _BAR * current // total)
    drawn = "=" * filled + ">" + " " * (_BAR - filled) if filled < _BAR else "=" * _BAR + ">"
    return f"[{drawn}] {human_size(current):>8}/{human_size(total)}"


class Throttle:
    """Lets a thing's progress through ten times a second, its first and its last always. May be called from several threads."""

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        with self._lock:
            if (progress.current < progress.total or not progress.total) and now < self._next.get(progress.id, 0.0):
                return
            self._next[progress.id] = now + _INTERVAL
        self._send(progress)


class Meter:
    """Counts the bytes of one thing in one phase ("Downloading", "Extracting", "Pushing") and reports now and then. Thread-safe."""

    def __init__(self, report: Report, status: str, layer: str, total: int, *, start: int = 0) -> None:
        self._send = Throttle(report)
        self._status = status
        self._layer = layer
        self._total = total
        self._current = start
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._current = current = min(self._total, self._current + count)
        self._send(Progress(self._layer, self._status, current, self._total))
