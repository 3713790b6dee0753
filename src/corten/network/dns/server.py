"""The server: one for all containers, two sockets for each. Answers from the directory, forwards the rest, in the daemon's event loop."""

import asyncio
import logging
import socket
import struct
from collections.abc import Coroutine
from dataclasses import dataclass, field

from corten.network.dns import answers
from corten.network.dns.directory import Directory, View
from corten.network.dns.forward import Forwarder
from corten.network.dns.sockets import DnsSockets

logger = logging.getLogger("corten.network.dns")
_LARGEST = 4096
_BURST = 64
_CACHED = 1024
_TCP_IDLE = 30.0
_TCP_CLIENTS = 64

Peer = tuple[str, int]


@dataclass(slots=True)
class _Cached:
    replies: list[bytes]
    turn: int = 0


@dataclass(slots=True)
class _Desk:
    """One container's sockets and what it may see. `forwarder` None: nothing is passed on (internal networks)."""

    sockets: DnsSockets
    view: View
    forwarder: Forwarder | None
    generation: int = -1
    cache: dict[bytes, _Cached] = field(default_factory=dict)
    work: set[asyncio.Task[None]] = field(default_factory=set)
    clients: int = 0


class DnsServer:
    def __init__(self) -> None:
        self.directory = Directory()
        self._desks: dict[str, _Desk] = {}

    def has(self, owner: str) -> bool:
        return owner in self._desks

    def open(self, owner: str, sockets: DnsSockets, view: View, forwarder: Forwarder | None) -> None:
        """Serve a container; the sockets are the server's from now on."""
        self.close(owner)
        desk = self._desks[owner] = _Desk(sockets, view, forwarder)
        loop = asyncio.get_running_loop()
        loop.add_reader(sockets.udp.fileno(), self._read, desk)
        loop.add_reader(sockets.tcp.fileno(), self._accept, desk)

    def change(self, owner: str, view: View, forwarder: Forwarder | None) -> None:
        """Its networks are others now. An unknown owner is ignored."""
        desk = self._desks.get(owner)
        if desk is not None:
            desk.view, desk.forwarder, desk.generation = view, forwarder, -1

    def close(self, owner: str) -> None:
        """Idempotent."""
        desk = self._desks.pop(owner, None)
        if desk is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(desk.sockets.udp.fileno())
        loop.remove_reader(desk.sockets.tcp.fileno())
        for task in desk.work:
            task.cancel()
        desk.sockets.close()

    def _read(self, desk: _Desk) -> None:
        """At most a burst at a time, so that one container's flood does not keep the loop."""
        receive = desk.sockets.udp.recvfrom
        for _ in range(_BURST):
            try:
                query, peer = receive(_LARGEST)
            except OSError:  # empty (EAGAIN), or an ICMP error of an earlier answer
                return
            reply = self._from_cache(desk, query)
            if reply is not None:
                self._send(desk, reply, peer)
            else:
                self._consider(desk, query, peer)

    def _from_cache(self, desk: _Desk, query: bytes) -> bytes | None:
        if desk.generation != self.directory.generation:
            desk.cache.clear()
            desk.generation = self.directory.generation
            return None
        cached = desk.cache.get(query[2:])
        if cached is None:
            return None
        cached.turn = (cached.turn + 1) % len(cached.replies)
        return query[:2] + cached.replies[cached.turn]

    def _local(self, desk: _Desk, query: bytes) -> bytes | None:
        """The answer from the directory, remembered for the same question's next time."""
        record = answers.parse(query)
        if record is None:
            return None
        replies = answers.answer(record, self.directory, desk.view)
        if replies is None:
            return None
        limit = answers.size_limit(record)
        short = [reply if len(reply) <= limit else answers.truncated(reply, record) for reply in replies]
        if len(desk.cache) < _CACHED:
            desk.cache[query[2:]] = _Cached([reply[2:] for reply in short])
        return short[0]

    def _consider(self, desk: _Desk, query: bytes, peer: Peer) -> None:
        if not answers.is_query(query):
            return
        reply = self._local(desk, query) or answers.refusal(query)
        if reply is not None:
            self._send(desk, reply, peer)
        else:
            self._spawn(desk, self._forward(desk, query, peer))

    def _spawn(self, desk: _Desk, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        desk.work.add(task)
        task.add_done_callback(desk.work.discard)

    async def _forward(self, desk: _Desk, query: bytes, peer: Peer) -> None:
        reply = await desk.forwarder.ask(query) if desk.forwarder is not None else None
        self._send(desk, reply or answers.failure(query), peer)

    def _send(self, desk: _Desk, reply: bytes, peer: Peer) -> None:
        try:
            desk.sockets.udp.sendto(reply, peer)
        except OSError as error:  # full buffer, or the client is gone: it asks again
            logger.debug("answer to %s lost: %s", peer, error)

    def _accept(self, desk: _Desk) -> None:
        try:
            connection, _ = desk.sockets.tcp.accept()
        except OSError:
            return
        connection.setblocking(False)
        if desk.clients >= _TCP_CLIENTS:
            connection.close()
            return
        self._spawn(desk, self._serve(desk, connection))

    async def _serve(self, desk: _Desk, connection: socket.socket) -> None:
        """Questions on one connection, until the client has no more or is silent too long."""
        desk.clients += 1
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            while True:
                async with asyncio.timeout(_TCP_IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    query = await reader.readexactly(length)
                reply = await self._answer_stream(desk, query)
                if reply is None:
                    return
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            desk.clients -= 1
            writer.close()

    async def _answer_stream(self, desk: _Desk, query: bytes) -> bytes | None:
        record = answers.parse(query)
        replies = answers.answer(record, self.directory, desk.view) if record is not None else None
        if replies is not None:
            return replies[0]
        if not answers.is_query(query):
            return None
        if refused := answers.refusal(query):
            return refused
        reply = await desk.forwarder.ask(query, tcp=True) if desk.forwarder is not None else None
        return reply or answers.failure(query)
