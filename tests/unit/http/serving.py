"""A server on a socket in a temporary folder, and a raw client: what the suites of this folder share."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from corten.http.address import Address
from corten.http.connection import Handler
from corten.http.listen import open_listeners
from corten.http.server import Server


@asynccontextmanager
async def serving(handler: Handler, path: Path) -> AsyncIterator[Server]:
    """`path` is the socket's."""
    async with Server(handler, common_headers=[("Server", "test")]) as server:
        for listener in open_listeners(Address("unix", path=str(path))):
            await server.listen(listener)
        yield server


class Peer:
    """A client that sends and sees bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[str, dict[str, str]]:
        """Status line and fields with lower-case names."""
        async with asyncio.timeout(5):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *fields = text.strip().split("\r\n")
        return status, {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}

    async def answer(self) -> tuple[str, bytes]:
        """Status line and a body with a length."""
        status, fields = await self.head()
        return status, await self.read(int(fields["content-length"]))

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def chunk(self) -> bytes:
        async with asyncio.timeout(5):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
        return data[:-2]


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


def get(path: str, extra: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{extra}\r\n".encode()


def post(path: str, body: bytes, extra: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def connect_blocking(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(str(path))
    return sock
