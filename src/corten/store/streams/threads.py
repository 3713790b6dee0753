"""Chunks on their way between threads: a bounded channel, and what is built on it.

The stages of a load or pull (read, decompress, hash, unpack) each run in a thread and let go of the interpreter lock in their big
calls, so two cores stay busy; the bounds keep the memory of all stages of a layer together at a few MiB.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Final

Chunk = bytes | memoryview
_BOUND: Final = 2 << 20


class ChannelClosed(Exception):
    """The reading side has gone; whoever writes should stop."""


class Channel:
    """Chunks from one thread to another, at most `bound` bytes waiting (one chunk always fits)."""

    def __init__(self, bound: int = _BOUND) -> None:
        self._bound = bound
        self._waiting: deque[Chunk] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._failure: BaseException | None = None

    def put(self, chunk: Chunk) -> None:
        """Waits for room. Raises ChannelClosed when nobody will read any more."""
        with self._changed:
            while self._size and self._size + len(chunk) > self._bound and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ChannelClosed
            self._waiting.append(chunk)
            self._size += len(chunk)
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """No more chunks; a `failure` is raised on the reading side after those that wait."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._changed.notify_all()

    def close(self) -> None:
        """From the reading side: no interest in more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._size = 0
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        with self._changed:
            while not self._waiting:
                if self._failure is not None:
                    raise self._failure
                if self._ended or self._closed:
                    raise StopIteration
                self._changed.wait()
            chunk = self._waiting.popleft()
            self._size -= len(chunk)
            self._changed.notify_all()
            return chunk


class Prefetched:
    """An iterator run ahead in a thread. A context manager: leaving it ends the thread, whatever happened."""

    def __init__(self, source: Iterator[Chunk], bound: int = _BOUND) -> None:
        self._source = source
        self._channel = Channel(bound)
        self._thread = threading.Thread(target=self._run, name="corten-stage", daemon=True)

    def __enter__(self) -> Iterator[Chunk]:
        self._thread.start()
        return self._channel

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._channel.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            for chunk in self._source:
                self._channel.put(chunk)
        except ChannelClosed:
            return
        except BaseException as failure:  # noqa: BLE001  it crosses into the reader's thread, whole
            self._channel.end(failure)
        else:
            self._channel.end()


class Hashed:
    """Passes chunks on while a second thread hashes them (SHA-256). A context manager, as `Prefetched`."""

    def __init__(self, source: Iterator[Chunk]) -> None:
        self._source = source
        self._channel = Channel()
        self._hash = hashlib.sha256()
        self._thread = threading.Thread(target=self._run, name="corten-hash", daemon=True)
        self.size = 0

    def __enter__(self) -> "Hashed":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._channel.close()
        self._thread.join()

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self._source:
            self.size += len(chunk)
            self._channel.put(chunk)
            yield chunk

    def digest(self) -> str:
        """`sha256:…` of all that passed, to be asked for after the last chunk."""
        self._channel.end()
        self._thread.join()
        return "sha256:" + self._hash.hexdigest()

    def _run(self) -> None:
        for chunk in self._channel:
            self._hash.update(chunk)
