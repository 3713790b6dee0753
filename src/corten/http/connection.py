"""One client's connection: an asyncio protocol that turns bytes into requests and replies into bytes.

```
            data_received                      head parsed                 reply sent, body drained
  (accept) ───────────────► waiting for a head ───────────► in a handler ──────────────────────────► waiting … or closed
                                                                 │ hijack
                                                                 └────────► taken: transport closed, the duplicate lives
```
Received bytes wait in an inbox and are parsed when somebody asks; reading pauses while the inbox is full, so a handler that
does not read slows its client. A client that shuts its sending side still gets its answer; one that is gone altogether ends
a stream (its generator is closed) and a body (ClientGone), but never a handler that is at work: half a `start` helps nobody.
"""

import asyncio
import select
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final

import h11

from corten.errors import Invalid
from corten.http.message import Headers
from corten.http.origin import is_foreign
from corten.http.pump import End, InnerEnd, Pump
from corten.http.reader import RequestReader, is_persistent
from corten.http.request import ClientGone, Hijacked, Peer, Request
from corten.http.response import NO_BODY, HeadWriter, Reply, Response, Stream, Taken
from corten.http.websocket import Opcode, websocket_ends

Handler = Callable[[Request], Awaitable[Reply]]

INBOX_LIMIT: Final = 256 * 1024
"""Bytes received and not yet asked for, at which reading pauses."""
DRAIN_LIMIT: Final = 256 * 1024
"""Bytes of an unread body that are thrown away to keep a connection; beyond it is closed (as Go's net/http)."""
HEAD_SECONDS: Final = 300.0
"""How long a client may take over a head it began (dockerd's ReadHeaderTimeout)."""
LINGER_SECONDS: Final = 0.5
"""How long a refused sender may go on before its connection is reset, so that it sees the answer first."""
PEER_CHECK_SECONDS: Final = 5.0
_CREDENTIALS: Final = struct.Struct("=iII")  # struct ucred


_FOREIGN: Final = Response(
    403,
    b'{"message":"the request comes from a web page, or names a host that is not this one: listen on that name (-H), or use TLS"}\n',
    "application/json",
)


class HttpConnection(asyncio.Protocol):
    """`on_open` starts `serve` in a task; `on_close` says that the connection is no longer the server's."""

    def __init__(
        self,
        handler: Handler,
        heads: HeadWriter,
        *,
        on_open: Callable[["HttpConnection"], None],
        on_close: Callable[["HttpConnection"], None],
        names: frozenset[str] | None = None,
    ) -> None:
        """`names`: see `origin`; None where no browser gets."""
        self._names = names
        self._handler = handler
        self._heads = heads
        self._on_open = on_open
        self._on_close = on_close
        self._reader = RequestReader()
        self._inbox: deque[bytes] = deque()
        self._inbox_size = 0
        self._eof = False
        self._gone = False
        self._broken = False
        self._closing = False
        self._lingering = False
        self._busy = False
        self._taken = False
        self._streaming: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._inbox.append(data)
        self._inbox_size += len(data)
        if self._inbox_size >= INBOX_LIMIT:
            self._transport.pause_reading()
        self._announce()

    def eof_received(self) -> bool:
        """Keeps the sending side open: a client that has said all it wants may still listen."""
        self._eof = True
        self._announce()
        self._watch_peer()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = self._gone = True
        self._announce()
        self._release_writer()
        self._set_timer(None)
        if self._streaming is not None:
            self._streaming.cancel()
        self._on_close(self)

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._release_writer()

    # What the server calls.

    async def serve(self) -> None:
        """Answers requests until the connection ends. Never raises, except when cancelled."""
        try:
            while await self._next_exchange():
                pass
        except ClientGone:
            pass
        except h11.RemoteProtocolError as error:
            self._refuse(error)
        finally:
            if not self._taken:
                self._transport.close()

    def shut_down(self) -> None:
        """No more requests: closes at once when idle, streaming or pumped, else after the answer at work."""
        self._closing = True
        if self._taken:
            self._transport.abort()
        elif self._streaming is not None:
            self._streaming.cancel()
        elif not self._busy:
            self._eof = True
            self._announce()

    # What a request calls (corten.http.request.Channel).

    @property
    def peer(self) -> Peer | None:
        return _peer(self._transport)

    async def read_chunk(self) -> bytes:
        while (chunk := self._next_chunk()) is None:
            if self._reader.expects_continue and not self._inbox:
                self._transport.write(self._reader.grant_continue())
            if not await self._feed_more():
                raise ClientGone("the client went away before its request was complete")
        return chunk

    def _next_chunk(self) -> bytes | None:
        """What cannot be read is the handler's to answer, once: nothing more is read of this connection."""
        try:
            return self._reader.next_chunk()
        except h11.RemoteProtocolError as error:
            self._broken = True
            raise Invalid(f"bad request body: {error}", reason="bad-body") from None

    async def take_over(self, head: bytes) -> Hijacked:
        initial = await self._part_with(head)
        if self._transport.get_extra_info("ssl_object") is not None:
            return Hijacked(await self._pumped(End(), InnerEnd(), b""), initial)
        sock = _duplicate(self._transport)
        self._transport.close()
        return Hijacked(sock, initial)

    async def take_over_websocket(self, head: bytes, opcode: Opcode) -> Hijacked:
        initial = await self._part_with(head)
        outer, inner = websocket_ends(opcode)
        return Hijacked(await self._pumped(outer, inner, initial), b"")

    async def _part_with(self, head: bytes) -> bytes:
        """No more requests come from here: sends `head` and gives what was received behind the last one."""
        self._taken = True
        self._transport.pause_reading()
        initial = self._reader.release() + b"".join(self._inbox)
        self._inbox.clear()
        self._transport.set_write_buffer_limits(0)
        self._transport.write(head)
        await self._drain()
        return initial

    async def _pumped(self, outer: End, inner: InnerEnd, initial: bytes) -> socket.socket:
        ends = Pump(outer, inner, lambda: self._on_close(self))
        return await ends.start(self._transport, initial=initial, eof=self._eof)

    # The inside.

    async def _next_exchange(self) -> bool:
        """Reads one request and answers it; whether another may follow."""
        while (head := self._reader.next_request()) is None:
            if self._reader.has_partial_head and self._timer is None:
                self._set_timer(HEAD_SECONDS)
            if not await self._feed_more():
                return False
        self._set_timer(None)
        request = Request(head.method.decode("ascii"), head.target.decode("latin-1"), Headers(head.headers), self)
        self._busy = True
        foreign = self._names is not None and is_foreign(request.headers, self._names)
        reply = _FOREIGN if foreign else await self._handler(request)
        self._busy = False
        if self._taken or isinstance(reply, Taken):
            return False
        keep = is_persistent(head) and not self._eof and not self._closing
        if isinstance(reply, Stream):
            await self._send_stream(reply, head, keep)
        else:
            self._send(reply, head.method == b"HEAD", keep)
            await self._drain()
        if not await self._discard_body():
            await self._linger()
            return False
        self._reader.restart()
        return keep

    def _send(self, reply: Response, headless: bool, keep: bool) -> None:
        framing = b"" if reply.status in NO_BODY else b"Content-Length: %d\r\n" % len(reply.body)
        head = self._heads.encode(reply, framing=framing, close=not keep)
        self._transport.write(head if headless or reply.status in NO_BODY else head + reply.body)

    async def _send_stream(self, reply: Stream, request: h11.Request, keep: bool) -> None:
        """Chunked for HTTP/1.1; until the connection closes for HTTP/1.0. The head leaves before the body is begun."""
        chunked = request.http_version >= b"1.1"
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
        self._transport.write(self._heads.encode(reply, framing=framing, close=not keep))
        if self._gone:
            raise ClientGone("the client went away before its answer began")
        self._streaming = asyncio.current_task()
        self._watch_peer()
        try:
            if request.method != b"HEAD":
                await self._send_chunks(reply.body, chunked)
        finally:
            self._streaming = None
            if isinstance(reply.body, AsyncGenerator):
                await reply.body.aclose()

    async def _send_chunks(self, body: AsyncIterator[bytes], chunked: bool) -> None:
        async for piece in body:
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if self._writable is not None:
                    await self._drain()
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    async def _discard_body(self) -> bool:
        """Reads what is left of the request's body, within reason; whether it came to its end."""
        size = 0
        while not self._broken and not self._reader.is_complete:
            if self._reader.expects_continue or size > DRAIN_LIMIT or self._gone:
                return False
            try:
                chunk = self._reader.next_chunk()
            except h11.RemoteProtocolError:  # the answer has been sent
                return False
            if chunk is None and not await self._feed_more():
                return False
            size += len(chunk or b"")
        return not self._broken

    async def _linger(self) -> None:
        """Half-closes and reads on for a moment: closing with unread bytes would reset the answer away."""
        if self._eof or not self._transport.can_write_eof():
            return
        self._transport.write_eof()
        self._lingering = True
        self._inbox.clear()
        self._transport.resume_reading()
        self._arrival = self._loop.create_future()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._arrival
        except TimeoutError:
            pass

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        status = error.error_status_hint
        body = f"{status} {'Bad Request' if status == 400 else str(error)}".encode()
        reply = Response(status, body, "text/plain; charset=utf-8")
        self._transport.write(self._heads.encode(reply, framing=b"Content-Length: %d\r\n" % len(body), close=True) + body)

    async def _feed_more(self) -> bool:
        """Hands received bytes to the parser, waiting for some; False when none will come."""
        if not self._inbox:
            if self._eof:
                return False
            self._transport.resume_reading()
            self._arrival = self._loop.create_future()
            await self._arrival
            if not self._inbox:
                return False
        self._inbox_size -= len(self._inbox[0])
        self._reader.feed(self._inbox.popleft())
        return True

    def _announce(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _drain(self) -> None:
        """Waits until the client has taken enough of what was written."""
        if self._writable is not None:
            await self._writable
        if self._gone:
            raise ClientGone("the client went away before it had its answer")

    def _release_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._transport.abort)

    def _watch_peer(self) -> None:
        """A half-closed client that gets a stream is looked at now and then: nothing else tells when it is gone altogether."""
        if not self._eof or self._gone or self._streaming is None:
            return
        if _is_hung_up(self._transport):
            self._transport.abort()
        else:
            self._loop.call_later(PEER_CHECK_SECONDS, self._watch_peer)


def _peer(transport: asyncio.BaseTransport) -> Peer | None:
    sock: socket.socket = transport.get_extra_info("socket")
    if sock.family != socket.AF_UNIX:
        return None
    return Peer(*_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))


def _duplicate(transport: asyncio.Transport) -> socket.socket:
    sock: socket.socket = transport.get_extra_info("socket")
    return sock.dup()


def _is_hung_up(transport: asyncio.BaseTransport) -> bool:
    """Whether both directions are shut (unix sockets, at once) or the peer has reset the connection (TCP, by keep-alive)."""
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poller.poll(0))
