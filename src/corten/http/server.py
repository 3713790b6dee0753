"""The HTTP server: connections from listening sockets, each with one task, all in one task group."""

import asyncio
import logging
import socket
from types import TracebackType
from typing import Final, Self

from corten.http.connection import Handler, HttpConnection
from corten.http.listen import Listener
from corten.http.origin import host_names
from corten.http.response import Fields, HeadWriter

logger = logging.getLogger("corten.http")

GRACE_SECONDS: Final = 5.0


class Server:
    """`async with Server(handler) as server:` then `await server.listen(listener)` for each; leaving the block shuts it down:
    no new connections, idle ones and streams are closed at once, handlers at work get `GRACE_SECONDS` to finish.

    `handler` answers every request and must not raise; what it raises nevertheless is logged and cuts the connection.
    """

    def __init__(self, handler: Handler, *, common_headers: Fields = ()) -> None:
        self._handler = handler
        self._heads = HeadWriter(common_headers)
        self._tasks = asyncio.TaskGroup()
        self._connections: dict[HttpConnection, asyncio.Task[None]] = {}
        self._emptied = asyncio.Event()
        self._listening: list[tuple[asyncio.Server, Listener]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server, listener in self._listening:
            server.close()
            listener.close()
        for connection in list(self._connections):
            connection.shut_down()
        if tasks := list(self._connections.values()):
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
        if self._connections:
            await self._emptied.wait()
        await self._tasks.__aexit__(kind, error, trace)

    async def listen(self, listener: Listener) -> None:
        """Serves `listener` from now on and owns it."""
        loop = asyncio.get_running_loop()
        context = listener.tls
        if context is None:
            plain = listener.sock.family != socket.AF_UNIX
            names = host_names((listener.address.host,)) if plain else None
            server = await loop.create_server(lambda: self._new_connection(names), sock=listener.sock)
        else:
            from corten.http.tls import TlsLayer

            server = await loop.create_server(lambda: TlsLayer(context, self._new_connection), sock=listener.sock)
        self._listening.append((server, listener))

    def _new_connection(self, names: frozenset[str] | None = None) -> HttpConnection:
        return HttpConnection(self._handler, self._heads, on_open=self._opened, on_close=self._closed, names=names)

    def _opened(self, connection: HttpConnection) -> None:
        self._emptied.clear()
        self._connections[connection] = self._tasks.create_task(self._supervise(connection))

    def _closed(self, connection: HttpConnection) -> None:
        self._connections.pop(connection, None)
        if not self._connections:
            self._emptied.set()

    async def _supervise(self, connection: HttpConnection) -> None:
        try:
            await connection.serve()
        except Exception:  # the supervisor of all connections: one must not end the others
            logger.exception("a connection was cut by an error")
