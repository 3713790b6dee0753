"""Blobs by several range connections: every missing part of every blob of a pull, in turns, so that all layers grow at once.

A segment is one GET. A connection that breaks goes on where it stopped; a registry that ignores ranges is read once from the
start. `Fetcher` owns the threads; the readers of the partials are somebody else's.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corten.errors import EngineError, Invalid, Unavailable
from corten.registry.client import Repository
from corten.registry.partial import Partial, Span
from corten.registry.transport import Answer, Cancelled, close_quietly

SEGMENT = 16 << 20
READ = 1 << 18
STALLS = 6  # tries of one segment that bring nothing, before we give up


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob to fetch: `partial` knows what is missing. `progress(count)` is called with bytes that arrived.

    `urls`: where a foreign layer lies when the registry does not have it.
    """

    partial: Partial
    progress: Callable[[int], None] = lambda count: None
    urls: Sequence[str] = ()


class Fetcher:
    """Fetches blobs of one repository with at most `connections` requests at a time. Use once: `start`, then `wait`."""

    def __init__(
        self, repository: Repository, wanted: Sequence[Wanted], *, connections: int = 0, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """`connections` 0: as many as the session's settings say."""
        connections = connections or repository.session.connections
        self._repository = repository
        self._queue = deque(_in_turns(wanted))
        self._lock = threading.Lock()
        self._whole: set[str] = set()  # blobs whose registry ignores ranges: one reader only
        self._stop = threading.Event()
        self._asked_to_stop = cancelled
        self._error: BaseException | None = None
        self._wanted = wanted
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(connections, len(self._queue)))]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Returns when all is there. Raises the first failure (Unavailable, Invalid, NotFound, Cancelled)."""
        for thread in self._threads:
            thread.join()
        short = [w.partial.digest for w in self._wanted if w.partial.missing()]
        if short and not self._error:
            self._fail(_truncated(short[0]))
        if self._error:
            raise self._error

    def stop(self) -> None:
        self._stop.set()

    def _cancelled(self) -> bool:
        return self._stop.is_set() or self._asked_to_stop()

    def _work(self) -> None:
        while not self._cancelled():
            with self._lock:
                if not self._queue:
                    return
                wanted, span = self._queue.popleft()
            try:
                self._fetch(wanted, span)
            except (EngineError, Cancelled, OSError) as error:
                self._fail(error)
                return
        self._fail(Cancelled())

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._stop.set()
        for wanted in self._wanted:
            wanted.partial.fail(error)

    def _fetch(self, wanted: Wanted, span: Span) -> None:
        position, stalls = span[0], 0
        while position < span[1] and not self._cancelled():
            with self._lock:
                if wanted.partial.digest in self._whole:
                    return
            reached = self._read_once(wanted, (position, span[1]))
            if reached > position:
                position, stalls = reached, 0
                continue
            stalls += 1
            if stalls >= STALLS:
                raise _truncated(wanted.partial.digest)
            self._repository.session.retry.wait(stalls - 1, None)

    def _read_once(self, wanted: Wanted, span: Span) -> int:
        """One GET; the offset up to which bytes are there now."""
        answer = self._repository.open_blob(wanted.partial.digest, *span, urls=wanted.urls, cancelled=self._cancelled)
        try:
            if answer.status == 206:
                return self._copy(answer, wanted, span[0], span[1])
            with self._lock:
                first = wanted.partial.digest not in self._whole
                self._whole.add(wanted.partial.digest)
            return self._copy(answer, wanted, 0, wanted.partial.size) if first else span[1]
        finally:
            close_quietly(answer)

    def _copy(self, answer: Answer, wanted: Wanted, position: int, end: int) -> int:
        from urllib3.exceptions import HTTPError  # three megabytes that an idle daemon does not carry

        while not self._cancelled():
            try:
                data = answer.read1(min(READ, end - position + 1))
            except HTTPError:
                break
            if not data:
                break
            if position + len(data) > end:
                raise Invalid(
                    f"blob {wanted.partial.digest}: the registry sends more than {wanted.partial.size} bytes", reason="wrong-size"
                )
            wanted.partial.write(position, data)
            wanted.progress(len(data))
            position += len(data)
            if position == end:
                break
        if answer.status == 200 and position < end:
            with self._lock:
                self._whole.discard(wanted.partial.digest)
        return position


def _truncated(digest: str) -> Unavailable:
    text = f"blob {digest}: the registry ends the transfer early, again and again"
    return Unavailable(text, reason="registry-truncated", hint="what arrived is kept: try again later")


def _in_turns(wanted: Sequence[Wanted]) -> list[tuple[Wanted, Span]]:
    """Segments of all blobs, one of each in turn, each blob's in order."""
    queues = [deque((w, s) for span in w.partial.missing() for s in _segments(span)) for w in wanted]
    found = []
    while any(queues):
        found += [q.popleft() for q in queues if q]
    return found


def _segments(span: Span) -> list[Span]:
    start, end = span
    return [(at, min(at + SEGMENT, end)) for at in range(start, end, SEGMENT)]
