"""Answers as JSON lines: the work behind a stream, and a head that leaves with the first line. How a line looks is in `streamformatter`."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from corten.api.streamformatter import error_line
from corten.errors import Conflict, EngineError
from corten.http.response import Stream

E = TypeVar("E")
R = TypeVar("R")


class StreamedWork(Generic[E, R]):
    """A task and the events that it emits, from any thread. Whoever reads them closes it."""

    def __init__(self, start: Callable[[Callable[[E], None]], Coroutine[Any, Any, R]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._events: asyncio.Queue[E | None] = asyncio.Queue()
        self._task = asyncio.ensure_future(start(self._emit))
        self._task.add_done_callback(lambda _: self._loop.call_soon(self._events.put_nowait, None))

    def _emit(self, event: E) -> None:
        """Most events come from the loop's own thread, and the loop need not be woken for them."""
        if threading.get_ident() == self._thread:
            self._events.put_nowait(event)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def batches(self) -> AsyncIterator[list[E]]:
        """The events to the last, those together that are there at the same time: each piece of an answer is a packet."""
        event = await self._events.get()
        while event is not None:
            several = [event]
            while not self._events.empty() and (event := self._events.get_nowait()) is not None:
                several.append(event)
            yield several
            event = event and await self._events.get()

    async def result(self) -> R:
        """Raises what the work raised, Conflict when another request cancelled it."""
        await asyncio.wait([self._task])
        if self._task.cancelled():
            raise Conflict("context canceled", reason="build-cancelled")
        return self._task.result()

    async def aclose(self) -> None:
        """Cancels the work if it is not over, and waits for its end."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


def failed(error: EngineError) -> Iterable[bytes]:
    """The end of a stream whose work failed, unless it has more to say."""
    yield error_line(error)


async def first_line_decides(
    lines: AsyncGenerator[bytes, None], *, seconds: float | None = None, failed: Callable[[EngineError], Iterable[bytes]] = failed
) -> Stream:
    """The head leaves with the first line, or after `seconds`. Raises what `lines` raise before; what they raise later ends the stream."""
    first = asyncio.ensure_future(anext(lines, b""))
    try:
        await asyncio.wait([first], timeout=seconds)
        if first.done():
            first.result()
    except BaseException:
        await _close(first, lines)
        raise
    return Stream(_with_failure(first, lines, failed))


async def _with_failure(
    first: "asyncio.Future[bytes]", lines: AsyncGenerator[bytes, None], failed: Callable[[EngineError], Iterable[bytes]]
) -> AsyncIterator[bytes]:
    try:
        yield await first
        async for line in lines:
            yield line
    except EngineError as error:
        yield b"".join(failed(error))
    finally:
        await _close(first, lines)


async def _close(first: "asyncio.Future[bytes]", lines: AsyncGenerator[bytes, None]) -> None:
    """A generator can only be closed when nobody waits for its next line."""
    if not first.done():
        first.cancel()
        await asyncio.wait([first])
    await lines.aclose()
