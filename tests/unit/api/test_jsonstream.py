"""Streams of JSON lines: what the first line decides, how the rest ends, and that the work ends with its reader."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from corten.api.jsonstream import StreamedWork, first_line_decides
from corten.errors import Conflict, Invalid
from corten.http.response import Stream

Emit = Callable[[bytes], None]


async def lines(work: StreamedWork[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(work):
        async for several in work.batches():
            yield b"".join(several)
        await work.result()


async def read(stream: Stream) -> list[bytes]:
    return [line async for line in stream.body]


async def fails(emit: Emit) -> None:
    raise Invalid("no such tag", reason="bad-tag")


async def fails_later(emit: Emit) -> None:
    emit(b"one")
    await asyncio.sleep(0)
    raise Invalid("no such tag", reason="bad-tag")


async def from_a_thread(emit: Emit) -> None:
    await asyncio.to_thread(emit, b"one")
    emit(b"two")


async def test_an_error_before_the_first_line_is_raised() -> None:
    with pytest.raises(Invalid, match="no such tag"):
        await first_line_decides(lines(StreamedWork(fails)))


async def test_a_later_error_is_the_last_line() -> None:
    first, last = await read(await first_line_decides(lines(StreamedWork(fails_later))))
    assert first == b"one"
    assert json.loads(last)["error"] == "no such tag"


async def test_an_error_after_the_head_has_left_is_a_line() -> None:
    async def slow(emit: Emit) -> None:
        await asyncio.sleep(0.01)
        await fails(emit)

    (only,) = await read(await first_line_decides(lines(StreamedWork(slow)), seconds=0))
    assert json.loads(only)["error"] == "no such tag"


async def test_events_of_other_threads_come_in_order() -> None:
    assert b"".join(await read(await first_line_decides(lines(StreamedWork(from_a_thread))))) == b"onetwo"


@pytest.mark.parametrize("seconds", [0, None])
async def test_a_reader_that_goes_ends_the_work(seconds: float | None) -> None:
    ended = asyncio.Event()

    async def endless(emit: Emit) -> None:
        try:
            if seconds is None:
                emit(b"one")
            await asyncio.sleep(1000)
        finally:
            ended.set()

    stream = await first_line_decides(lines(StreamedWork(endless)), seconds=seconds)
    assert isinstance(stream.body, AsyncGenerator)
    if seconds is None:
        assert await anext(stream.body) == b"one"
        await stream.body.aclose()
        assert ended.is_set()
    else:
        reading = asyncio.ensure_future(anext(stream.body))
        await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait([reading])
        await stream.body.aclose()
        assert ended.is_set()


async def test_a_request_that_is_given_up_before_the_first_line_ends_the_work() -> None:
    ended = asyncio.Event()

    async def silent(emit: Emit) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    waiting = asyncio.ensure_future(first_line_decides(lines(StreamedWork(silent))))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert ended.is_set()


async def test_work_that_another_request_cancels_is_a_conflict() -> None:
    async def cancelled(emit: Emit) -> None:
        raise asyncio.CancelledError

    with pytest.raises(Conflict, match="context canceled"):
        await first_line_decides(lines(StreamedWork(cancelled)))
