"""TLS on loopback: client certificates, half-close, take-over. Keys and certificates of the folder `tls` are for these tests only."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from corten.errors import Unavailable
from corten.http.address import Address
from corten.http.client import Client, TlsFiles, Upgraded
from corten.http.connection import Handler
from corten.http.listen import open_listeners
from corten.http.request import Request
from corten.http.response import TAKEN, Reply, Response
from corten.http.server import Server
from corten.http.tls import server_context

FOLDER = Path(__file__).parent / "tls"
TRUSTED = TlsFiles(ca=str(FOLDER / "ca.pem"), cert=str(FOLDER / "client.pem"))


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """Yields the port."""
    context = server_context(FOLDER / "server.pem", FOLDER / "server.pem", client_ca=FOLDER / "ca.pem")
    async with Server(handler) as server:
        (listener,) = open_listeners(Address("tcp", host="127.0.0.1", port=0), tls=context)
        await server.listen(listener)
        yield listener.sock.getsockname()[1]


@contextmanager
def client_of(port: int, files: TlsFiles = TRUSTED) -> Iterator[Client]:
    with Client(Address("tcp", host="127.0.0.1", port=port), tls=files, timeout=5) as client:
        yield client


async def echo(request: Request) -> Reply:
    return Response(200, await request.body(100_000_000))


def call(port: int, body: bytes, files: TlsFiles = TRUSTED) -> bytes:
    with client_of(port, files) as client:
        client.request("POST", "/", body=b"first").read()
        return client.request("POST", "/", body=body).read()


async def test_a_client_with_a_certificate_is_served() -> None:
    body = bytes(range(256)) * 4000
    async with serving(echo) as port:
        assert await asyncio.to_thread(call, port, body) == body


@pytest.mark.parametrize(
    "files",
    [TRUSTED._replace(cert=""), TRUSTED._replace(cert=str(FOLDER / "stranger.pem")), TRUSTED._replace(ca=str(FOLDER / "stranger.pem"))],
    ids=["no certificate", "certificate of another authority", "server of another authority"],
)
async def test_strangers_are_refused(files: TlsFiles) -> None:
    async with serving(echo) as port:
        with pytest.raises((Unavailable, ConnectionError)):
            await asyncio.to_thread(call, port, b"", files)


async def test_plain_http_on_a_tls_port_is_closed() -> None:
    async with serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(5):
            assert b"HTTP" not in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_a_taken_over_stream_is_pumped_and_half_closes() -> None:
    """As `echo text | docker run -i`: the client ends its input, and output that comes afterwards arrives, to the last byte."""

    async def handler(request: Request) -> Reply:
        with await request.hijack("HTTP/1.1 101 UPGRADED", [("Connection", "Upgrade"), ("Upgrade", "tcp")]) as taken:
            taken.sock.setblocking(True)
            await asyncio.to_thread(shout_back, taken.sock)
        return TAKEN

    def shout_back(sock: "object") -> None:
        import socket

        assert isinstance(sock, socket.socket)
        received = b""
        while data := sock.recv(65536):
            received += data
        sock.sendall(received.upper() * 1000)

    def attach(port: int) -> bytes:
        with client_of(port) as client:
            raw = client.upgrade("POST", "/attach")
            assert isinstance(raw, Upgraded)
            with raw:
                raw.send(b"abc" * 100)
                raw.half_close()
                output = b""
                while data := raw.recv():
                    output += data
                return output

    async with serving(handler) as port:
        for _ in range(5):
            assert await asyncio.to_thread(attach, port) == b"ABC" * 100 * 1000
