"""WebSocket: the example of RFC 6455, frames in any pieces, and a server that a client talks to."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.http.message import Headers
from corten.http.request import Request
from corten.http.response import TAKEN, Reply
from corten.http.websocket import BadHandshake, FrameDecoder, Opcode, ProtocolError, accept_handshake, encode_frame
from tests.support.websocket import masked
from tests.unit.http.serving import Peer, connected, serving

REQUEST = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "WebSocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CLOSED = b"\x88\x02\x03\xe8"
HEAD = "".join(f"{name}: {value}\r\n" for name, value in REQUEST.items())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def headers(**changed: str) -> Headers:
    fields = REQUEST | {name.replace("_", "-"): value for name, value in changed.items()}
    return Headers([(name.encode(), value.encode()) for name, value in fields.items() if value])


def test_the_handshake_of_the_rfc() -> None:
    assert accept_handshake(headers()) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]
    assert ("Sec-WebSocket-Protocol", "chat") in accept_handshake(headers(sec_websocket_protocol="chat"))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"upgrade": "tcp"}, "not websocket protocol"),
        ({"connection": "close"}, "not websocket protocol"),
        ({"sec_websocket_version": "8"}, "missing or bad WebSocket Version"),
        ({"sec_websocket_key": ""}, "mismatch challenge/response"),
        ({"sec_websocket_protocol": "chat, more"}, "bad WebSocket protocol"),
    ],
)
def test_what_opens_no_websocket(changed: dict[str, str], text: str) -> None:
    with pytest.raises(BadHandshake, match=text):
        accept_handshake(headers(**changed))


@pytest.mark.parametrize(
    ("size", "head"),
    [(125, b"\x82\x7d"), (126, b"\x82\x7e\x00\x7e"), (65535, b"\x82\x7e\xff\xff"), (65536, b"\x82\x7f" + b"\0\0\0\0\0\1\0\0")],
)
def test_three_forms_of_a_length(size: int, head: bytes) -> None:
    frame = encode_frame(Opcode.BINARY, b"x" * size)
    assert frame == head + b"x" * size
    assert b"".join(piece for _, piece in FrameDecoder().feed(masked(b"y" * size))) == b"y" * size


@given(st.lists(st.binary(max_size=300), max_size=6), st.lists(st.integers(1, 40), min_size=1))
def test_frames_in_any_pieces(payloads: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(masked(payload) + masked(b"p", Opcode.PING) for payload in payloads)
    decoder, data, pings, turn = FrameDecoder(), b"", 0, 0
    while wire:
        piece, wire = wire[: cuts[turn % len(cuts)]], wire[cuts[turn % len(cuts)] :]
        turn += 1
        for frame in decoder.feed(piece):
            pings += frame == (Opcode.PING, b"p")
            data += b"" if frame.opcode.is_control else frame.payload
    assert (data, pings) == (b"".join(payloads), len(payloads))


def test_fragments_with_a_ping_between() -> None:
    wire = masked(b"frag", Opcode.TEXT, fin=False) + masked(b"", Opcode.PING) + masked(b"ment", Opcode.CONTINUATION)
    assert list(FrameDecoder().feed(wire)) == [(Opcode.TEXT, b"frag"), (Opcode.PING, b""), (Opcode.CONTINUATION, b"ment")]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\x82\x01x", "not masked"),
        (b"\xc2\x80", "reserved"),
        (b"\x83\x80", "opcode 3"),
        (b"\x89\xfe", "control frame"),
        (b"\x09\x80", "control frame"),
        (masked(b"x", Opcode.CONTINUATION), "out of order"),
        (masked(b"x", fin=False) + masked(b"y"), "out of order"),
    ],
)
def test_what_no_client_may_send(wire: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        list(FrameDecoder().feed(wire))


async def shout_back(request: Request) -> Reply:
    """Answers each piece in capitals, until the input ends."""
    with await request.hijack_websocket(accept_handshake(request.headers), Opcode.BINARY) as taken:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(taken.sock, 65536):
            if b"end" in data:
                return TAKEN
            await loop.sock_sendall(taken.sock, data.upper())
    return TAKEN


async def opened(peer: Peer, more: bytes = b"") -> None:
    await peer.send(f"GET /attach HTTP/1.1\r\nHost: x\r\n{HEAD}\r\n".encode() + more)
    assert (await peer.head())[0] == "HTTP/1.1 101 Switching Protocols"


async def test_a_conversation(path: Path) -> None:
    async with serving(shout_back, path), connected(path) as peer:
        await opened(peer, masked(b"early"))
        assert await peer.read(7) == b"\x82\x05EARLY"
        await peer.send(masked(b"pp", Opcode.PING))
        assert await peer.read(4) == b"\x8a\x02pp"
        await peer.send(masked(b"end"))
        assert await peer.rest() == CLOSED


@pytest.mark.parametrize(
    ("wire", "answer"), [(masked(b"\x03\xe8bye", Opcode.CLOSE), CLOSED), (b"\x82\x01x", b"\x88\x02\x03\xea")], ids=["close", "bad frame"]
)
async def test_a_client_ends_it(path: Path, wire: bytes, answer: bytes) -> None:
    ended = asyncio.Event()

    async def handler(request: Request) -> Reply:
        reply = await shout_back(request)
        ended.set()
        return reply

    async with serving(handler, path), connected(path) as peer:
        await opened(peer, wire)
        assert await peer.rest() == answer
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_client_that_vanishes_ends_the_input(path: Path) -> None:
    ended = asyncio.Event()

    async def handler(request: Request) -> Reply:
        reply = await shout_back(request)
        ended.set()
        return reply

    async with serving(handler, path):
        async with connected(path) as peer:
            await opened(peer)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_much_both_ways_with_a_slow_reader(path: Path) -> None:
    """More than all buffers hold: the client's own sending must wait, and nothing is lost."""
    data = os.urandom(1 << 20).hex().encode()
    async with serving(shout_back, path), connected(path) as peer:
        await opened(peer)
        received = b""
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(send_slowly(peer, data))
            while len(received) < len(data):
                received += await payload(peer)
        assert received == data.upper()


async def send_slowly(peer: Peer, data: bytes) -> None:
    for begin in range(0, len(data), 100_000):
        await peer.send(masked(data[begin : begin + 100_000]))


async def payload(peer: Peer) -> bytes:
    """Of the server's next frame."""
    head = await peer.read(2)
    size = head[1] if head[1] < 126 else int.from_bytes(await peer.read(2 if head[1] == 126 else 8), "big")
    return await peer.read(size)


async def test_the_server_ends_while_a_client_is_attached(path: Path) -> None:
    monitor: list[socket.socket] = []

    async def handler(request: Request) -> Reply:
        with await request.hijack_websocket(accept_handshake(request.headers), Opcode.BINARY) as taken:
            monitor.append(taken.sock.dup())
        return TAKEN

    async with AsyncExitStack() as stack:
        async with serving(handler, path):
            peer = await stack.enter_async_context(connected(path))
            await opened(peer)
        assert await peer.rest() == b""
        with monitor.pop() as sock:
            assert sock.recv(1) == b""
