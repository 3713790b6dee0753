"""Calls between two ends of a socket pair, and peers that break the rules."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from corten.api.buildkit.messages.session import BytesMessage
from corten.http.grpc.calls import ask, calling, dispatch, one_to_many, one_to_one, receive_message
from corten.http.grpc.connection import LARGEST_MESSAGE, Call, Connection
from corten.http.grpc.protobuf import encode
from corten.http.grpc.status import CallFailed, Code
from corten.http.request import Hijacked

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def _same(call: Call, request: BytesMessage) -> BytesMessage:
    return request


async def _twice(call: Call, request: BytesMessage) -> AsyncIterator[BytesMessage]:
    yield request
    yield request


async def _refused(call: Call, request: BytesMessage) -> BytesMessage:
    raise CallFailed(Code.NOT_FOUND, "100% nicht dä\n", b"details")


async def _broken(call: Call, request: BytesMessage) -> BytesMessage:
    raise ZeroDivisionError("a bug")


async def _echo(call: Call) -> None:
    while (message := await receive_message(call, BytesMessage)) is not None:
        await call.send(encode(message))


METHODS = {
    "/t/Same": one_to_one(BytesMessage, _same),
    "/t/Twice": one_to_many(BytesMessage, _twice),
    "/t/Refused": one_to_one(BytesMessage, _refused),
    "/t/Broken": one_to_one(BytesMessage, _broken),
    "/t/Echo": _echo,
}


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    client, server = Connection(Hijacked(ours, b"")), Connection(Hijacked(theirs, b""), dispatch(METHODS))
    running = [asyncio.ensure_future(one.run()) for one in (client, server)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(10):
            while not client.is_open:
                await asyncio.sleep(0)
            yield client
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        await asyncio.wait_for(asyncio.gather(*running), 10)
        ours.close()
        theirs.close()


async def test_one_answer() -> None:
    async with connected() as client:
        assert await ask(client, "/t/Same", BytesMessage(b"x"), BytesMessage) == BytesMessage(b"x")
        assert await ask(client, "/t/Same", BytesMessage(), BytesMessage) == BytesMessage()


async def test_many_answers() -> None:
    async with connected() as client, calling(client, "/t/Twice") as call:
        await call.send(encode(BytesMessage(b"x")))
        call.end()
        assert [await receive_message(call, BytesMessage) for _ in range(3)] == [BytesMessage(b"x"), BytesMessage(b"x"), None]


async def test_messages_larger_than_every_window_in_both_directions() -> None:
    """Neither side reads all before it writes: a reader that waited for its own sender would wait for ever."""
    piece, count = encode(BytesMessage(bytes(5 << 20))), 4
    async with connected() as client, calling(client, "/t/Echo") as call:

        async def send() -> None:
            for _ in range(count):
                await call.send(piece)
            call.end()

        sending = asyncio.ensure_future(send())
        got = [await call.receive() for _ in range(count + 1)]
        await sending
        assert got == [piece] * count + [None]


async def test_how_a_call_failed() -> None:
    async with connected() as client:
        with pytest.raises(CallFailed) as caught:
            await ask(client, "/t/Refused", BytesMessage(), BytesMessage)
        assert (caught.value.code, caught.value.message) == (Code.NOT_FOUND, "100% nicht dä\n")


@pytest.mark.parametrize(("path", "code"), [("/t/Broken", Code.INTERNAL), ("/t/Missing", Code.UNIMPLEMENTED)])
async def test_other_failures(path: str, code: Code) -> None:
    async with connected() as client:
        with pytest.raises(CallFailed) as caught:
            await ask(client, path, BytesMessage(), BytesMessage)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (struct.pack(">BI", 0, LARGEST_MESSAGE + 1), Code.RESOURCE_EXHAUSTED),
        (struct.pack(">BI", 1, 3) + b"abc", Code.UNIMPLEMENTED),
        (struct.pack(">BI", 0, 30) + b"cut", Code.INTERNAL),
        (struct.pack(">BI", 0, 2) + b"\x08\x00", Code.INTERNAL),
        (b"", Code.INTERNAL),
    ],
)
async def test_messages_that_are_none(raw: bytes, code: Code) -> None:
    async with connected() as client, calling(client, "/t/Same") as call:
        if raw:
            await client.send(call, raw)
        call.end()
        with pytest.raises(CallFailed) as caught:
            await call.receive()
        assert caught.value.code == code


async def test_a_caller_that_leaves_cancels_the_answer() -> None:
    ended = asyncio.Event()

    async def forever(call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    METHODS["/t/Forever"] = forever
    async with connected() as client:
        async with calling(client, "/t/Forever"):
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(ended.wait(), 5)


async def test_calls_fail_with_the_connection() -> None:
    async with connected() as client, calling(client, "/t/Echo") as call:
        client.end(call, None)
    with pytest.raises(CallFailed) as caught:
        client.call("/t/Echo")
    assert caught.value.code == Code.UNAVAILABLE


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        PREFACE + (2 << 20).to_bytes(3) + b"\x00\x00\x00\x00\x00\x01" + bytes(2 << 20),  # a frame larger than any that may be
        PREFACE + b"\x00\x00\x05\x00\x00\x00\x00\x00\x01abcde",  # data of no stream
        PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\xff",  # headers that are none
        PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # a window of 0
    ],
)
async def test_a_peer_that_breaks_the_protocol_loses_the_connection(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        server = Connection(Hijacked(theirs, data[:7]), dispatch(METHODS))
        running = asyncio.ensure_future(server.run())
        await asyncio.to_thread(_send_all, ours, data[7:])
        await asyncio.wait_for(running, 5)
        with pytest.raises(CallFailed):
            server.call("/t/Echo")


def _send_all(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)
