"""The epoll loop of launcher and monitors: descriptors with callbacks, timers, and descriptors that close after the round.

A number closed inside a round could be handed out again while older events for it are still to be delivered; so whoever closes a
registered descriptor does it through `close`.
"""

import heapq
import os
import select
import time
from collections.abc import Callable

EPOLLIN = select.EPOLLIN
EPOLLOUT = select.EPOLLOUT
EPOLLHUP = select.EPOLLHUP
EPOLLERR = select.EPOLLERR
EPOLLRDHUP = select.EPOLLRDHUP

_ROUND = 64


class Timer:
    """A callback to come; `cancel` is idempotent."""

    __slots__ = ("_callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self._callback: Callable[[], None] | None = callback

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    @property
    def is_due(self) -> bool:
        return self._callback is None or self.when <= time.monotonic()


class Loop:
    """Single-threaded. Callbacks get the event mask as a hint: they must cope with there being nothing to do."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._closing: list[int] = []
        self._timers: list[Timer] = []
        self._stopped = False

    @property
    def watched(self) -> int:
        """How many descriptors are registered."""
        return len(self._callbacks)

    def add(self, fd: int, mask: int, callback: Callable[[int], None]) -> None:
        """Also EPOLLHUP and EPOLLERR are delivered, always."""
        self._epoll.register(fd, mask)
        self._callbacks[fd] = callback

    def change(self, fd: int, mask: int) -> None:
        self._epoll.modify(fd, mask)

    def remove(self, fd: int) -> None:
        """No more callbacks for it, not even from this round. Nothing happens if it is not registered."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self, fd: int) -> None:
        """Remove it, and close it when this round is over."""
        self.remove(fd)
        self._closing.append(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            self.run_once(None)

    def run_once(self, longest: float | None) -> None:
        """One round; waits for something to happen, `longest` seconds at most."""
        for fd, mask in self._epoll.poll(self._timeout(longest), _ROUND):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback(mask)
        while self._timers and self._timers[0].is_due:
            heapq.heappop(self._timers).fire()
        while self._closing:
            os.close(self._closing.pop())

    def _timeout(self, longest: float | None) -> float | None:
        if self._closing:
            return 0
        if not self._timers:
            return longest
        due = max(0.0, self._timers[0].when - time.monotonic())
        return due if longest is None else min(due, longest)
