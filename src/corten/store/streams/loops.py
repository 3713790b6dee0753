"""Chunks between the event loop and a thread, in both directions, with back-pressure either way.

The loop's side never blocks; the thread's side blocks and is an ordinary iterator or callable, so that the store knows no asyncio.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

from corten.store.files import release_memory
from corten.store.streams.threads import ChannelClosed, Chunk

T = TypeVar("T")
_BOUND: Final = 8 << 20
_GATHERED: Final = 256 << 10
_SMALL: Final = 64 << 10


class Inlet:
    """From the loop into a thread: `await put(...)`, `end()` on one side, an iterator of chunks on the other.

    The thread is woken once per 256 KiB, and small chunks are joined for it; big ones pass uncopied.
    """

    def __init__(self, bound: int = _BOUND) -> None:
        self._bound = bound
        self._waiting: deque[Chunk] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Future[None] | None = None

    async def put(self, chunk: Chunk) -> None:
        """Raises ChannelClosed when the thread has stopped reading."""
        with self._changed:
            if self._closed:
                raise ChannelClosed
            self._waiting.append(chunk)
            self._size += len(chunk)
            if self._size >= _GATHERED:
                self._changed.notify()
            if self._size <= self._bound:
                return
            room = self._room = self._loop.create_future()
        await room

    def end(self, failure: BaseException | None = None) -> None:
        """No more chunks; `failure` is raised in the thread after those that wait."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._changed.notify()

    def close(self) -> None:
        """From the thread: no interest in more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._size = 0
            self._wake_loop()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        with self._changed:
            while self._size < _GATHERED and not self._ended and not self._closed:
                self._changed.wait()
            if not self._waiting:
                if self._failure is not None:
                    raise self._failure
                raise StopIteration
            gathered = [self._waiting.popleft()]
            size = len(gathered[0])
            while self._waiting and size < _SMALL:
                gathered.append(self._waiting.popleft())
                size += len(gathered[-1])
            self._size -= size
            if self._size <= self._bound // 2:
                self._wake_loop()
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)

    def _wake_loop(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            self._loop.call_soon_threadsafe(_settle, room)


class Outlet:
    """From a thread into the loop: `put` in the thread, `async for` in the loop.

    A loop that stops iterating calls `close`; `put` then raises ChannelClosed in the thread.
    """

    def __init__(self, bound: int = _BOUND) -> None:
        self._bound = bound
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._more: asyncio.Future[None] | None = None

    def put(self, chunk: bytes) -> None:
        with self._changed:
            while self._size > self._bound and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ChannelClosed
            self._waiting.append(chunk)
            self._size += len(chunk)
            self._wake_loop()

    def end(self, failure: BaseException | None = None) -> None:
        """From the thread: no more; `failure` is raised in the loop after what waits."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._wake_loop()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            with self._changed:
                if self._waiting:
                    chunk = self._waiting.popleft()
                    self._size -= len(chunk)
                    self._changed.notify_all()
                    return chunk
                if self._failure is not None:
                    raise self._failure
                if self._ended:
                    raise StopAsyncIteration
                more = self._more = self._loop.create_future()
            await more

    def _wake_loop(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            self._loop.call_soon_threadsafe(_settle, more)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def in_thread(work: Callable[[], T]) -> T:
    """`work` in a thread of its own: transfers last as long as their clients like, and the loop's pool is for short jobs.

    Cancelled, it waits for `work` to end, which the caller must have made sure of (by ending the stream that it reads or writes).
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as failure:  # noqa: BLE001  it crosses into the loop, whole
            loop.call_soon_threadsafe(done.set_exception, failure)
        else:
            loop.call_soon_threadsafe(done.set_result, result)
        release_memory()

    threading.Thread(target=run, name="corten-transfer", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        done.exception()  # seen: nobody else asks for it now
        raise


async def with_body(body: AsyncIterator[bytes], work: Callable[[Iterator[Chunk]], T]) -> T:
    """`work`, in a thread, on what `body` brings. Raises what either raises; `work` has ended by then, whatever happened."""
    inlet = Inlet()

    def run() -> T:
        try:
            return work(inlet)
        finally:
            inlet.close()

    running = asyncio.ensure_future(in_thread(run))
    try:
        await _feed(body, inlet)
        return await running
    except BaseException:
        inlet.end(EOFError("the sender went away"))
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


async def drawn(work: Callable[[Outlet], None]) -> AsyncGenerator[bytes, None]:
    """What `work`, run in a thread, puts into its outlet; its failure is raised after that. Closing early ends `work`."""
    outlet = Outlet()

    def run() -> None:
        try:
            work(outlet)
        except ChannelClosed:
            return
        except BaseException as failure:  # noqa: BLE001  it crosses into the loop, whole
            outlet.end(failure)
        else:
            outlet.end()

    running = asyncio.ensure_future(in_thread(run))
    try:
        async for chunk in outlet:
            yield chunk
    finally:
        outlet.close()
        await running


async def _feed(body: AsyncIterator[bytes], inlet: Inlet) -> None:
    """Moves everything into `inlet`; a reader that has gone ends it without an error."""
    try:
        async for chunk in body:
            await inlet.put(chunk)
    except ChannelClosed:
        return
    inlet.end()
