"""The blocking client against the server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from corten.errors import Denied, Unavailable
from corten.http.address import Address
from corten.http.client import Answer, Client, ProtocolError, Upgraded
from corten.http.connection import Handler
from corten.http.request import Request
from corten.http.response import TAKEN, Reply, Response, Stream
from tests.unit.http.serving import serving

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


async def calling(path: Path, handler: Handler, body: Callable[[Client], T]) -> T:
    """Runs `body` with a client in a thread, while the server runs here."""

    def run() -> T:
        with Client(Address("unix", path=str(path)), timeout=5) as client:
            return body(client)

    async with serving(handler, path):
        return await asyncio.to_thread(run)


async def echo(request: Request) -> Reply:
    body = b"".join([piece async for piece in request.stream()])
    return Response(200, f"{request.method} {request.headers.get('x-extra')} ".encode() + body, "text/plain")


async def test_connections_are_kept_and_pieces_are_sent_in_chunks(path: Path) -> None:
    def body(client: Client) -> list[bytes]:
        first = client.request("POST", "/", headers=[("X-Extra", "e")], body=b"whole").read()
        second = client.request("PUT", "/", body=iter([b"in ", b"", b"pieces"])).read()
        third = client.request("GET", "/")
        assert third.status == 200
        assert third.headers["server"] == "test"
        return [first, second, third.read()]

    assert await calling(path, echo, body) == [b"POST e whole", b"PUT  in pieces", b"GET  "]


async def lines(request: Request) -> Reply:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"a":1}\n{"a"'
        yield b":2}\n"
        yield b'{"a":3}'

    return Stream(body())


async def test_json_lines_come_as_they_are_complete(path: Path) -> None:
    def body(client: Client) -> list[object]:
        return list(client.request("GET", "/events").json_lines())

    assert await calling(path, lines, body) == [{"a": 1}, {"a": 2}, {"a": 3}]


async def test_an_answer_that_is_given_up_does_not_disturb_the_next(path: Path) -> None:
    def body(client: Client) -> bytes:
        with client.request("GET", "/events") as answer:
            next(answer.lines())
        with client.request("HEAD", "/events") as head:
            assert head.read() == b""
        return client.request("GET", "/events").read()

    assert await calling(path, lines, body) == b'{"a":1}\n{"a":2}\n{"a":3}'


async def test_an_upgrade_gives_the_raw_stream(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        with await request.hijack("HTTP/1.1 101 UPGRADED", [("Content-Type", "application/vnd.docker.multiplexed-stream")]) as taken:
            loop = asyncio.get_running_loop()
            while data := await loop.sock_recv(taken.sock, 100):
                await loop.sock_sendall(taken.sock, data.upper())
        return TAKEN

    def body(client: Client) -> bytes:
        raw = client.upgrade("POST", "/attach", body=b"")
        assert isinstance(raw, Upgraded)
        assert raw.is_multiplexed
        with raw:
            raw.send(b"abc")
            raw.half_close()
            return b"".join(iter(raw.recv, b""))

    assert await calling(path, handler, body) == b"ABC"


async def test_a_refused_upgrade_is_an_answer(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        return Response(404, b'{"message":"No such container: x"}')

    def body(client: Client) -> tuple[int, object]:
        answer = client.upgrade("POST", "/attach")
        assert isinstance(answer, Answer)
        return answer.status, answer.json()

    assert await calling(path, handler, body) == (404, {"message": "No such container: x"})


async def test_an_early_answer_to_an_upload_is_seen(path: Path) -> None:
    async def handler(request: Request) -> Reply:
        return Response(507, b"disk full")

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 100_000

    def body(client: Client) -> tuple[int, bytes]:
        answer = client.request("POST", "/images/load", body=endless())
        return answer.status, answer.read()

    assert await calling(path, handler, body) == (507, b"disk full")


async def test_a_kept_connection_that_the_engine_closed_is_replaced(path: Path) -> None:
    with Client(Address("unix", path=str(path)), timeout=5) as client:
        for _ in range(2):
            async with serving(echo, path):
                assert (await asyncio.to_thread(lambda: client.request("GET", "/").read())) == b"GET  "


async def test_an_answer_that_is_cut_is_an_error(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Reply:
        async def body() -> AsyncIterator[bytes]:
            yield b"part"
            raise RuntimeError("lost")

        return Stream(body())

    def body(client: Client) -> None:
        with pytest.raises(ProtocolError):
            client.request("GET", "/").read()

    caplog.set_level("CRITICAL", "corten.http")
    await calling(path, handler, body)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Cannot connect to the Corten engine at unix://") as caught:
        Client(Address("unix", path=str(tmp_path / "none"))).request("GET", "/")
    assert caught.value.reason == "cannot-connect"


def test_a_socket_that_may_not_be_opened_is_told_apart() -> None:
    assert issubclass(Denied, Exception)
