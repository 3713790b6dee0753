"""A small proxy for published ports that the kernel cannot translate: ::1, and IPv6 clients of a container without IPv6.

Runs in the daemon's event loop; everything else published goes through the kernel alone. A slow side holds the other one back.
"""

import asyncio
import socket
from typing import cast

from corten.network.ports import HeldPort

_BACKLOG = 512
_DATAGRAM_IDLE = 90.0
_DATAGRAM_PEERS = 4096


class _Pipe(asyncio.Protocol):
    """One side of a connection; what it receives goes to `other`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Pipe | None = None
        self._early: list[bytes] = []
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def join(self, other: "_Pipe") -> None:
        """From now on the two are one connection; what came early goes first."""
        self.other, other.other = other, self
        for pipe in (self, other):
            for data in pipe._early:
                pipe.data_received(data)
            pipe._early.clear()
            if pipe._ended:
                pipe.eof_received()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
            return
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """A half-closed side still hears the answer."""
        self._ended = True
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class _Inbound(_Pipe):
    def __init__(self, target: tuple[str, int], connecting: "set[asyncio.Task[None]]", clients: "set[_Inbound]") -> None:
        super().__init__()
        self._target = target
        self._connecting = connecting
        self._clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self._clients.add(self)
        self.transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self)
        super().connection_lost(exc)

    async def _connect(self) -> None:
        assert self.transport is not None
        try:
            _, outbound = await asyncio.get_running_loop().create_connection(_Pipe, *self._target)
        except OSError:
            self.transport.abort()
            return
        self.join(outbound)
        self.transport.resume_reading()


class _Reply(asyncio.DatagramProtocol):
    """The container's answers to one client."""

    def __init__(self, front: "_Datagrams", client: tuple[str, int]) -> None:
        self._front = front
        self._client = client

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._front.answer(data, self._client)


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: a socket towards the container for each client, closed when it has been idle."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[tuple[str, int], tuple[asyncio.DatagramTransport, asyncio.TimerHandle]] = {}
        self._opening: dict[tuple[str, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # 3.11's selector transport does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:
        for client in list(self._clients):
            self._forget(client)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        client = (str(addr[0]), addr[1])
        if client in self._clients:
            self._touch(client)
            self._clients[client][0].sendto(data)
        elif client in self._opening:
            self._opening[client].append(data)
        elif len(self._clients) + len(self._opening) < _DATAGRAM_PEERS:
            self._opening[client] = [data]
            task = asyncio.get_running_loop().create_task(self._open(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        if self._transport is not None and client in self._clients:
            self._touch(client)
            self._transport.sendto(data, client)

    async def _open(self, client: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Reply(self, client), remote_addr=self._target)
        except OSError:
            self._opening.pop(client, None)
            return
        self._clients[client] = (transport, loop.call_later(_DATAGRAM_IDLE, self._forget, client))
        for data in self._opening.pop(client, []):
            transport.sendto(data)

    def _touch(self, client: tuple[str, int]) -> None:
        transport, timer = self._clients[client]
        timer.cancel()
        self._clients[client] = (transport, asyncio.get_running_loop().call_later(_DATAGRAM_IDLE, self._forget, client))

    def _forget(self, client: tuple[str, int]) -> None:
        transport, timer = self._clients.pop(client)
        timer.cancel()
        transport.close()


class PortProxy:
    """One published port. Takes over the held port's socket."""

    def __init__(self, held: HeldPort, target: tuple[str, int]) -> None:
        self._held = held
        self._target = target
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._clients: set[_Inbound] = set()

    async def open(self) -> None:
        """Raises OSError when the socket cannot listen."""
        loop = asyncio.get_running_loop()
        assert self._held.socket is not None
        sock = self._held.socket.dup()
        sock.setblocking(False)
        if sock.type == socket.SOCK_DGRAM:
            self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._target), sock=sock)
        else:
            # Its connections must not keep the next daemon from binding the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._server = await loop.create_server(
                lambda: _Inbound(self._target, self._connecting, self._clients), sock=sock, backlog=_BACKLOG
            )

    def close(self) -> None:
        """Stops listening and ends the connections under way."""
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._datagrams.close()
        for task in self._connecting:
            task.cancel()
        for client in self._clients:
            for pipe in (client, client.other):
                if pipe is not None and pipe.transport is not None:
                    pipe.transport.abort()
