"""The server on a real unix socket: what clients do to it, and what they get."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import h11
import pytest

from corten.errors import Invalid
from corten.http.address import Address
from corten.http.listen import open_listeners
from corten.http.request import ClientGone, Request
from corten.http.response import TAKEN, Reply, Response, Stream
from corten.http.server import Server
from tests.unit.http.serving import connect_blocking, connected, get, post, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


async def echo(request: Request) -> Reply:
    body = await request.body()
    return Response(200, f"{request.method} {request.path} ".encode() + body, "text/plain")


async def test_requests_follow_each_other_on_one_connection(path: Path) -> None:
    async with serving(echo, path), connected(path) as peer:
        for number in range(3):
            await peer.send(post(f"/{number}", b"body"))
            assert await peer.answer() == ("HTTP/1.1 200 OK", b"POST /%d body" % number)


async def test_pipelined_requests_are_answered_in_order(path: Path) -> None:
    async with serving(echo, path), connected(path) as peer:
        await peer.send(b"".join(get(f"/{number}") for number in range(20)))
        for number in range(20):
            assert (await peer.answer())[1] == b"GET /%d " % number


async def test_connection_close_is_obeyed(path: Path) -> None:
    async with serving(echo, path), connected(path) as peer:
        await peer.send(get("/", "Connection: close\r\n"))
        _, fields = await peer.head()
        assert fields["connection"] == "close"
        assert await peer.rest() == b"GET / "


async def test_head_and_bodiless_statuses(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        return Response(304) if request.path == "/304" else Response(200, b"OK")

    async with serving(handler, path), connected(path) as peer:
        await peer.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" + get("/304") + get("/"))
        assert (await peer.head())[1]["content-length"] == "2"
        status, fields = await peer.head()
        assert status == "HTTP/1.1 304 Not Modified"
        assert "content-length" not in fields
        assert (await peer.answer())[1] == b"OK"


async def test_a_body_beyond_the_limit_is_refused_and_the_answer_arrives(path: Path) -> None:
    """The client is still sending: it must see the answer, not a reset."""

    async def handler(request: Request) -> Reply:
        try:
            await request.body(limit=1000)
        except Invalid as error:
            return Response(400, error.reason.encode())
        return Response(200)

    async with serving(handler, path):
        answer = await asyncio.to_thread(upload_blindly, path)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert answer.endswith(b"body-too-large")


def upload_blindly(path: Path) -> bytes:
    with connect_blocking(path) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(300):
                sock.sendall(b"x" * 10_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return sock.recv(65536)


async def test_a_handler_that_does_not_read_slows_its_client(path: Path) -> None:
    go = asyncio.Event()

    async def handler(request: Request) -> Reply:
        await go.wait()
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return Response(200, str(size).encode())

    async with serving(handler, path), connected(path) as peer:
        peer.writer.transport.set_write_buffer_limits(0)
        await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n")
        peer.writer.write(b"x" * 8_000_000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await peer.writer.drain()
        go.set()
        assert (await peer.answer())[1] == b"8000000"


async def test_continue_is_said_when_the_body_is_wanted(path: Path) -> None:
    async with serving(echo, path), connected(path) as peer:
        await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await peer.head())[0] == "HTTP/1.1 100 Continue"
        await peer.send(b"ab")
        assert (await peer.answer())[1] == b"POST / ab"


async def test_a_refused_upload_is_never_asked_for(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        return Response(404)

    async with serving(handler, path), connected(path) as peer:
        await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await peer.head())[0] == "HTTP/1.1 404 Not Found"
        assert await peer.rest() == b""


async def test_the_head_of_a_stream_leaves_before_its_body(path: Path) -> None:
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await go.wait()
        yield b"one"
        yield b""
        yield b"two"

    async def handler(request: Request) -> Reply:
        return Stream(body())

    async with serving(handler, path), connected(path) as peer:
        await peer.send(get("/wait"))
        _, fields = await peer.head()
        assert fields["transfer-encoding"] == "chunked"
        go.set()
        assert [await peer.chunk() for _ in range(3)] == [b"one", b"two", b""]
        go.clear()
        await peer.send(get("/wait"))
        assert (await peer.head())[0] == "HTTP/1.1 200 OK"


async def test_an_old_client_gets_a_stream_until_the_connection_closes(path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"all"

    async def handler(request: Request) -> Reply:
        return Stream(body())

    async with serving(handler, path), connected(path) as peer:
        await peer.send(b"GET / HTTP/1.0\r\n\r\n")
        _, fields = await peer.head()
        assert "transfer-encoding" not in fields
        assert await peer.rest() == b"all"


class Endless:
    """A stream that says when it has been closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def handler(self, request: Request) -> Reply:
        return Stream(self.body())

    async def body(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_a_stream_ends_when_its_client_is_gone(path: Path) -> None:
    endless = Endless()
    async with serving(endless.handler, path):
        async with connected(path) as peer:
            await peer.send(get("/"))
            await peer.head()
            assert await peer.chunk() == b"first"
        async with asyncio.timeout(2):
            await endless.closed.wait()


async def test_a_half_closed_client_still_gets_its_stream(path: Path) -> None:
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await go.wait()
        yield b"late"

    async def handler(request: Request) -> Reply:
        return Stream(body())

    async with serving(handler, path), connected(path) as peer:
        await peer.send(get("/"))
        peer.writer.write_eof()
        await peer.head()
        go.set()
        assert await peer.chunk() == b"late"
        assert await peer.chunk() == b""
        assert await peer.rest() == b""


async def test_a_slow_reader_holds_the_stream_back(path: Path) -> None:
    made = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(200):
            made += 1
            yield b"x" * 100_000

    async def handler(request: Request) -> Reply:
        return Stream(body())

    async with serving(handler, path):
        with await asyncio.to_thread(connect_blocking, path) as sock:
            sock.sendall(get("/"))
            await asyncio.sleep(0.05)
            assert made < 50


async def test_a_handler_at_work_is_not_disturbed_by_a_vanishing_client(path: Path) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Reply:
        begun.set()
        await asyncio.sleep(0.02)
        done.set()
        return Response(204)

    async with serving(handler, path):
        async with connected(path) as peer:
            await peer.send(post("/start", b""))
            await begun.wait()
        async with asyncio.timeout(2):
            await done.wait()
    assert done.is_set(), "the handler came to its end"


async def test_a_body_that_never_comes_is_told_to_the_handler(path: Path) -> None:
    seen: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

    async def handler(request: Request) -> Reply:
        try:
            await request.body()
        except ClientGone as error:
            seen.set_result(type(error))
            raise
        return Response(200)

    async with serving(handler, path):
        async with connected(path) as peer:
            await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
        async with asyncio.timeout(2):
            assert await seen is ClientGone


@pytest.mark.parametrize(
    ("wire", "status"),
    [(b"GARBAGE\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1_100_000, b"431")],
)
async def test_what_is_no_request_is_refused_and_closed(path: Path, wire: bytes, status: bytes) -> None:
    async with serving(echo, path):
        with await asyncio.to_thread(connect_blocking, path) as sock:

            def exchange() -> bytes:
                try:
                    sock.sendall(wire)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                return sock.recv(65536)

            answer = await asyncio.to_thread(exchange)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer


async def test_a_handler_that_fails_cuts_one_connection_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Reply:
        if request.path == "/bug":
            raise RuntimeError("a bug")
        return Response(200, b"fine")

    async with serving(handler, path), connected(path) as bystander:
        await bystander.send(get("/"))
        await bystander.answer()
        with caplog.at_level(logging.CRITICAL, "corten.http"):
            async with connected(path) as peer:
                await peer.send(get("/bug"))
                assert await peer.rest() == b""
        await bystander.send(get("/"))
        assert (await bystander.answer())[1] == b"fine"


async def test_an_error_in_a_stream_cuts_it_short(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No last chunk: the client can tell that the answer is not complete."""

    async def body() -> AsyncIterator[bytes]:
        yield b"part"
        raise RuntimeError("lost the rest")

    async def handler(request: Request) -> Reply:
        return Stream(body())

    with caplog.at_level(logging.CRITICAL, "corten.http"):
        async with serving(handler, path), connected(path) as peer:
            await peer.send(get("/"))
            await peer.head()
            assert await peer.chunk() == b"part"
            assert await peer.rest() == b""


async def test_shutting_down_ends_idle_and_streaming_connections_and_lets_work_finish(path: Path) -> None:
    endless = Endless()
    begun = asyncio.Event()

    async def handler(request: Request) -> Reply:
        if request.path == "/stream":
            return await endless.handler(request)
        begun.set()
        await asyncio.sleep(0.05)
        return Response(200, b"finished")

    leave = asyncio.Event()

    async def serve() -> None:
        async with serving(handler, path):
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve())
        await asyncio.sleep(0.01)
        async with connected(path) as idle, connected(path) as streaming, connected(path) as working:
            await streaming.send(get("/stream"))
            await streaming.head()
            await working.send(get("/work"))
            await begun.wait()
            leave.set()
            assert (await working.answer())[1] == b"finished"
            assert await idle.rest() == b""
            await endless.closed.wait()
    assert not path.exists()


async def test_taking_over_gives_the_socket_and_what_came_with_it(path: Path) -> None:
    taken_initial: list[bytes] = []

    async def handler(request: Request) -> Reply:
        await request.body()
        with await request.hijack("HTTP/1.1 101 UPGRADED", [("Connection", "Upgrade"), ("Upgrade", "tcp")]) as taken:
            taken_initial.append(taken.initial)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(taken.sock, b"raw: " + await loop.sock_recv(taken.sock, 100))
        return TAKEN

    async with serving(handler, path), connected(path) as peer:
        await peer.send(post("/attach", b"{}", "Upgrade: tcp\r\nConnection: Upgrade\r\n") + b"early")
        assert (await peer.head())[0] == "HTTP/1.1 101 UPGRADED"
        await peer.send(b"later")
        assert await peer.rest() == b"raw: later"
    assert taken_initial == [b"early"]


async def test_fifty_take_overs_lose_nothing(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        with await request.hijack("HTTP/1.1 200 OK", []) as taken:
            taken.sock.setblocking(True)
            await asyncio.to_thread(taken.sock.sendall, b"x" * 300_000)
        return TAKEN

    async with serving(handler, path):
        for _ in range(50):
            async with connected(path) as peer:
                await peer.send(post("/attach", b""))
                await peer.head()
                assert len(await peer.rest()) == 300_000


async def test_a_client_that_reads_past_its_buffer_loses_nothing(path: Path) -> None:
    """As docker-py does: the head through a buffered file, what follows from the socket itself."""

    async def handler(request: Request) -> Reply:
        with await request.hijack("HTTP/1.1 200 OK", []) as taken:
            await asyncio.get_running_loop().sock_sendall(taken.sock, b"output")
        return TAKEN

    def ask() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(post("/exec", b"", "User-Agent: docker-sdk-python/7.1.0\r\n"))
            time.sleep(0.1)  # a client that has other things to do
            with sock.makefile("rb") as head:
                while head.readline() != b"\r\n":
                    pass
                return sock.recv(100)

    async with serving(handler, path):
        assert await asyncio.to_thread(ask) == b"output"


async def test_a_page_in_a_browser_gets_nowhere_on_plain_tcp() -> None:
    """Its name for this machine (DNS rebinding), or its own site's name, without a body too; the unix socket knows no such thing."""
    async with Server(echo) as server:
        (listener,) = open_listeners(Address("tcp", host="127.0.0.1", port=0))
        port = listener.sock.getsockname()[1]
        await server.listen(listener)
        for fields, status in (
            (f"Host: 127.0.0.1:{port}", "200"),
            (f"Host: attacker.example:{port}", "403"),
            (f"Host: localhost:{port}\r\nOrigin: http://attacker.example", "403"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET /x HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            assert answer.split(b" ")[1].decode() == status, (fields, answer)
            writer.close()


async def test_a_bad_chunk_is_refused_once(path: Path) -> None:
    """Also by a handler that answers the error itself."""

    async def handler(request: Request) -> Reply:
        try:
            return Response(200, await request.body())
        except (Invalid, h11.RemoteProtocolError) as error:
            return Response(400, str(error).encode())

    async def deaf(request: Request) -> Reply:
        return Response(200, b"OK")

    for one, status in ((handler, b" 400 "), (deaf, b" 200 ")):
        async with serving(one, path), connected(path) as peer:
            await peer.send(b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")
            answer = await peer.rest()
        assert answer.count(b"HTTP/1.1") == 1
        assert status in answer
