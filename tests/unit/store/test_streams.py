import asyncio
import bz2
import gzip
import lzma
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.store.streams import zstd
from corten.store.streams.compression import Compression, decompressed, sniffed
from corten.store.streams.loops import Outlet, drawn, in_thread, with_body
from corten.store.streams.threads import Channel, ChannelClosed, Chunk, Hashed, Prefetched
from tests.unit.store.tarballs import chunked

DATA = bytes(range(256)) * 600
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def plain(data: bytes, chunk: int) -> tuple[Compression, bytes]:
    compression, chunks = sniffed(chunked(data, chunk))
    return compression, b"".join(decompressed(chunks, compression))


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("chunk", [997, 1 << 20])
def test_every_compression_is_known_and_undone(kind: str, chunk: int) -> None:
    packed = PACKERS[kind](DATA)
    assert plain(packed, chunk) == (kind, DATA)
    if kind != "none":
        assert plain(packed + PACKERS[kind](b"more"), chunk) == (kind, DATA + b"more")


def test_first_bytes_may_come_one_by_one() -> None:
    assert plain(gzip.compress(b"hi"), 1) == ("gzip", b"hi")
    assert plain(b"", 1) == ("none", b"")
    assert plain(b"x", 1) == ("none", b"x")


def test_padding_and_skippable_frames() -> None:
    assert plain(gzip.compress(b"hi") + bytes(100), 50) == ("gzip", b"hi")
    assert plain(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd.compress(b"hi"), 50) == ("zstd", b"hi")


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_damage_and_truncation_are_told(kind: str) -> None:
    packed = PACKERS[kind](DATA)
    with pytest.raises(Invalid, match="unexpected EOF"):
        plain(packed[:-7], 1000)
    middle = len(packed) // 2
    with pytest.raises(Invalid):
        plain(packed[:middle] + bytes(40) + packed[middle + 40 :] + b"garbage", 1000)
    with pytest.raises(Invalid):
        plain(packed + b"garbage", 1 << 20)


def test_chunks_of_plain_text_are_bounded() -> None:
    compression, chunks = sniffed(chunked(gzip.compress(bytes(8 << 20)), 1 << 20))
    assert max(map(len, decompressed(chunks, compression))) <= 1 << 20


def test_a_channel_is_bounded_and_ends() -> None:
    channel = Channel(10)
    sent = []

    def send() -> None:
        for number in range(8):
            channel.put(b"x" * 4)
            sent.append(number)
        channel.end(ValueError("at the end"))

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.02)
    assert len(sent) <= 3
    assert [next(channel) for _ in range(8)] == [b"xxxx"] * 8
    with pytest.raises(ValueError, match="at the end"):
        next(channel)
    thread.join()


def test_a_closed_channel_stops_its_writer() -> None:
    channel = Channel(1)
    channel.put(b"xx")
    threading.Timer(0.01, channel.close).start()
    with pytest.raises(ChannelClosed):
        channel.put(b"x")


def endless() -> Iterator[Chunk]:
    while True:
        yield b"x" * 1000


def test_prefetching_passes_everything_and_can_be_left() -> None:
    with Prefetched(iter([b"a", b"b"])) as chunks:
        assert list(chunks) == [b"a", b"b"]

    def broken() -> Iterator[Chunk]:
        yield b"a"
        raise ValueError("broken source")

    with pytest.raises(ValueError, match="broken source"), Prefetched(broken()) as chunks:
        list(chunks)
    before = threading.active_count()
    with Prefetched(endless(), 5000) as chunks:
        next(chunks)
    assert threading.active_count() == before


def test_hashing_beside_reading() -> None:
    with Hashed(iter([b"a", memoryview(b"b")])) as hashed:
        assert [bytes(c) for c in hashed] == [b"a", b"b"]
        assert hashed.digest() == "sha256:fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
        assert hashed.size == 2
    with Hashed(endless()) as hashed:
        next(iter(hashed))


async def pieces(*found: bytes) -> AsyncIterator[bytes]:
    for piece in found:
        await asyncio.sleep(0)
        yield piece


async def test_a_body_reaches_a_thread_whole() -> None:
    sent = [bytes([n % 256]) * 40000 for n in range(500)]
    got = await with_body(pieces(*sent), b"".join)
    assert got == b"".join(sent)


async def test_a_reader_that_stops_early_ends_the_body() -> None:
    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    assert len(await with_body(forever(), next)) >= 100_000

    def refuse(chunks: Iterator[Chunk]) -> None:
        next(chunks)
        raise Invalid("enough")

    with pytest.raises(Invalid, match="enough"):
        await with_body(forever(), refuse)


async def test_a_sender_that_goes_away_ends_the_reader() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionError("gone")

    seen: list[BaseException] = []

    def work(chunks: Iterator[Chunk]) -> None:
        try:
            list(chunks)
        except EOFError as error:
            seen.append(error)
            raise

    with pytest.raises(ConnectionError):
        await with_body(broken(), work)
    assert len(seen) == 1


async def test_cancelling_waits_for_the_thread() -> None:
    ended = threading.Event()

    def work(chunks: Iterator[Chunk]) -> None:
        try:
            list(chunks)
        finally:
            ended.set()

    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    task = asyncio.ensure_future(with_body(silent(), work))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_thread_is_drawn_from_and_can_be_left() -> None:
    def work(outlet: Outlet) -> None:
        for number in range(2000):
            outlet.put(bytes([number % 256]) * 20000)

    assert sum([len(chunk) async for chunk in drawn(work)]) == 2000 * 20000
    stream = drawn(work)
    async for _ in stream:
        break
    await stream.aclose()

    def broken(outlet: Outlet) -> None:
        outlet.put(b"x")
        raise Invalid("damaged")

    with pytest.raises(Invalid, match="damaged"):
        assert [chunk async for chunk in drawn(broken)] == [b"x"]


async def test_a_thread_gives_its_value_or_its_failure() -> None:
    assert await in_thread(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(["gzip", "zstd", "bzip2", "xz"]), st.integers(1, 500))
def test_noise_behind_a_magic_number_only_raises(noise: bytes, kind: str, chunk: int) -> None:
    data = PACKERS[kind](b"start")[:6] + noise
    try:
        found = plain(data, chunk)
    except Invalid as error:
        assert error.message
    else:
        assert found[0] == kind
