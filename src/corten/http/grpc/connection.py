"""One HTTP/2 connection that carries gRPC calls; either side of it.

```
   socket ─▶ h2 (frames, windows) ─▶ Call.receive()   message by message; what is not read holds the peer back
   socket ◀─ h2                   ◀─ Call.send()      waits while the peer's window is full
```
A peer that breaks the protocol loses the connection; a call that is lost with it fails as UNAVAILABLE.
"""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from corten.http.grpc.status import CallFailed, Code, Fields, failure_in, trailers_of
from corten.http.request import Hijacked

logger = logging.getLogger("corten.http.grpc")

LARGEST_MESSAGE: Final = 16 << 20
"""Bytes; BuildKit's own limit."""
MOST_CALLS: Final = 250
_READ: Final = 256 << 10
_STREAM_WINDOW: Final = 1 << 20
_WINDOW: Final = 8 << 20
_LARGEST_FRAME: Final = 1 << 20
_UNREAD: Final = 16 << 20
"""Bytes sent and not taken by the peer at which it is cut off; senders wait long before."""
_PREFIX: Final = struct.Struct(">BI")


class Call:
    """One call. `path` and `metadata` are the caller's; a header that came several times has several values."""

    def __init__(self, connection: "Connection", stream: int, path: str, metadata: Mapping[str, Sequence[str]]) -> None:
        self.path = path
        self.metadata = metadata
        self.stream = stream
        self._connection = connection
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._partial = bytearray()
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: CallFailed | None = None
        self.has_answered = False
        self.has_ended_sending = False

    @property
    def has_peer_ended(self) -> bool:
        return self._ended

    async def receive(self) -> bytes | None:
        """The next message; None when the peer has sent its last. Raises CallFailed."""
        if not await self._filled(_PREFIX.size):
            if self._partial:
                raise CallFailed(Code.INTERNAL, "the stream ended inside a message")
            return None
        compressed, size = _PREFIX.unpack_from(self._partial)
        if compressed:
            raise CallFailed(Code.UNIMPLEMENTED, "messages are taken uncompressed")
        if size > LARGEST_MESSAGE:
            raise CallFailed(Code.RESOURCE_EXHAUSTED, f"received message larger than max ({size} vs. {LARGEST_MESSAGE})")
        if not await self._filled(_PREFIX.size + size):
            raise CallFailed(Code.INTERNAL, "the stream ended inside a message")
        found = bytes(memoryview(self._partial)[_PREFIX.size : _PREFIX.size + size])
        del self._partial[: _PREFIX.size + size]
        return found

    async def receive_some(self, limit: int) -> list[bytes]:
        """The next message and those that are there already, together about `limit` bytes; none at the end. Raises CallFailed."""
        found: list[bytes] = []
        size = 0
        while size < limit and (not found or self._has_message()):
            message = await self.receive()
            if message is None:
                break
            found.append(message)
            size += len(message)
        return found

    def _has_message(self) -> bool:
        here = len(self._partial) + sum(len(chunk) for chunk, _ in self._chunks)
        if len(self._partial) < _PREFIX.size:
            return here >= _PREFIX.size and len(self._chunks) > 1
        return here >= _PREFIX.size + int(_PREFIX.unpack_from(self._partial)[1])

    async def send(self, data: bytes) -> None:
        """One message; waits while the peer takes none. Raises CallFailed."""
        if self._failure is not None:
            raise self._failure
        if self._ended and self._connection.is_client:
            raise CallFailed(Code.UNAVAILABLE, "the peer has ended the call")
        await self._connection.send(self, _PREFIX.pack(0, len(data)) + data)

    def end(self, error: CallFailed | None = None) -> None:
        """No more messages of ours; a server says how the call ended."""
        self._connection.end(self, error)

    async def _filled(self, size: int) -> bool:
        while len(self._partial) < size:
            while not self._chunks:
                if self._failure is not None:
                    raise self._failure
                if self._ended:
                    return False
                self._changed.clear()
                await self._changed.wait()
            chunk, counted = self._chunks.popleft()
            self._partial += chunk
            self._connection.taken(self, counted)
        return True

    # What the connection calls.

    def add(self, chunk: bytes, counted: int) -> None:
        self._chunks.append((chunk, counted))
        self._changed.set()

    def finish(self, failure: CallFailed | None = None) -> None:
        """The peer sends no more; the first word counts."""
        if not self._ended:
            self._ended, self._failure = True, failure
        self._changed.set()

    def forget(self) -> int:
        """Drops what was not read: the bytes of it."""
        left = sum(counted for _, counted in self._chunks)
        self._chunks.clear()
        return left


class Connection:
    """`run` serves it until it ends. `serve` answers a peer's calls; without it, calls are ours to make."""

    def __init__(self, taken: Hijacked, serve: Callable[[Call], Awaitable[None]] | None = None) -> None:
        """`taken` stays the caller's."""
        self.is_client = serve is None
        self._taken = taken
        self._serve = serve
        self._h2 = H2Connection(H2Configuration(client_side=self.is_client, header_encoding="latin-1"))
        self._calls: dict[int, Call] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._window = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self.is_open = False

    async def run(self, *, opened: Callable[[], None] = lambda: None) -> None:
        """Until the peer leaves or breaks the protocol. What is under way then is cancelled; calls of ours fail."""
        reader, writer = await asyncio.open_connection(sock=self._taken.sock.dup(), limit=_READ)
        self._writer, self.is_open = writer, True
        try:
            async with asyncio.TaskGroup() as tasks:
                self._begin()
                opened()
                try:
                    await self._read(reader, tasks)
                finally:
                    self._lose()
        finally:
            writer.close()

    def call(self, path: str, metadata: Fields = []) -> Call:  # noqa: B006
        """Begins a call of the peer. Raises CallFailed."""
        if not self.is_open:
            raise CallFailed(Code.UNAVAILABLE, "the client's session is over")
        stream = self._h2.get_next_available_stream_id()
        call = self._calls[stream] = Call(self, stream, path, {})
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        self._h2.send_headers(stream, [*head, ("content-type", "application/grpc"), ("te", "trailers"), *metadata])
        self._flush()
        return call

    def drop(self, call: Call) -> None:
        """Ends a call whatever came of it: the peer hears that nobody listens any more."""
        if self._calls.pop(call.stream, None) is None or not self.is_open:
            return
        self._credit(call, call.forget())
        if not (call.has_peer_ended and call.has_ended_sending):
            self._reset(call.stream, 0 if call.has_peer_ended else 8)
        self._flush()

    async def send(self, call: Call, data: bytes) -> None:
        rest = memoryview(data)
        self._answer(call)
        while rest:
            room = self._room(call)
            if room <= 0:
                await self._sent()
                self._window.clear()
                if self._room(call) <= 0:
                    await self._window.wait()
                continue
            size = min(room, self._h2.max_outbound_frame_size, len(rest))
            self._h2.send_data(call.stream, bytes(rest[:size]))
            rest = rest[size:]
        await self._sent()

    def end(self, call: Call, error: CallFailed | None) -> None:
        if call.has_ended_sending or not self.is_open or call.stream not in self._calls:
            return
        call.has_ended_sending = True
        try:
            if self.is_client:
                self._h2.end_stream(call.stream)
            else:
                self._answer(call)
                self._h2.send_headers(call.stream, trailers_of(error), end_stream=True)
        except H2Error:
            return  # the peer has ended the stream: it does not wait for this
        self._flush()

    def taken(self, call: Call, counted: int) -> None:
        """`counted` bytes of the peer's window were read."""
        self._credit(call, counted)
        self._flush()

    # The inside.

    def _begin(self) -> None:
        self._h2.initiate_connection()
        self._h2.update_settings({
            SettingCodes.MAX_CONCURRENT_STREAMS: MOST_CALLS,
            SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: _LARGEST_FRAME,
        })  # fmt: skip
        self._h2.increment_flow_control_window(_WINDOW)

    async def _read(self, reader: asyncio.StreamReader, tasks: asyncio.TaskGroup) -> None:
        try:
            self._flush()
            data = self._taken.initial or await reader.read(_READ)
            while data:
                for event in self._h2.receive_data(data):
                    self._take(event, tasks)
                self._flush()
                data = await reader.read(_READ)
        except OSError as error:
            logger.debug("a gRPC connection ended: %s", error)
        except H2Error as error:
            logger.info("a gRPC connection was cut: %s", error)
            self._flush()  # the peer is told why

    def _take(self, event: Event, tasks: asyncio.TaskGroup) -> None:
        match event:
            case RequestReceived(stream_id=int(stream)):
                self._begin_call(stream, event, tasks)
            case DataReceived(stream_id=int(stream)):
                self._data(stream, event)
            case ResponseReceived(stream_id=int(stream)) | TrailersReceived(stream_id=int(stream)):
                self._trailers(stream, event)
            case StreamEnded(stream_id=int(stream)):
                self._finish(stream, None)
            case StreamReset(stream_id=int(stream)):
                self._finish(stream, CallFailed(Code.CANCELLED, "the peer gave the call up"))
                if (task := self._tasks.get(stream)) is not None:
                    task.cancel()
        self._window.set()

    def _begin_call(self, stream: int, event: RequestReceived, tasks: asyncio.TaskGroup) -> None:
        metadata: dict[str, list[str]] = {}
        for name, value in event.headers or ():
            metadata.setdefault(str(name), []).append(str(value))
        call = self._calls[stream] = Call(self, stream, metadata.get(":path", [""])[0], metadata)
        self._tasks[stream] = tasks.create_task(self._served(call))

    async def _served(self, call: Call) -> None:
        assert self._serve is not None, "a client refuses its peer's calls"
        failure: CallFailed | None = None
        try:
            await self._serve(call)
        except CallFailed as error:
            failure = error
        except Exception as error:  # the edge: a bug is the answer of its call and a traceback in the log
            logger.exception("%s failed", call.path)
            failure = CallFailed(Code.INTERNAL, str(error) or type(error).__name__)
        finally:
            del self._tasks[call.stream]
        self.end(call, failure)
        self.drop(call)

    def _data(self, stream: int, event: DataReceived) -> None:
        counted = event.flow_controlled_length or 0
        call = self._calls.get(stream)
        if call is not None:
            call.add(event.data or b"", counted)
        else:
            self._h2.acknowledge_received_data(counted, stream)

    def _trailers(self, stream: int, event: ResponseReceived | TrailersReceived) -> None:
        found = {str(name): str(value) for name, value in event.headers or ()}
        if "grpc-status" in found:
            self._finish(stream, failure_in(found))
        elif found.get(":status", "200") != "200":
            self._finish(stream, CallFailed(Code.UNKNOWN, f"the peer answered with HTTP status {found[':status']}"))

    def _finish(self, stream: int, failure: CallFailed | None) -> None:
        if (call := self._calls.get(stream)) is not None:
            call.finish(failure)

    def _answer(self, call: Call) -> None:
        """A server's head leaves before its first message."""
        if not self.is_client and not call.has_answered:
            call.has_answered = True
            try:
                self._h2.send_headers(call.stream, [(":status", "200"), ("content-type", "application/grpc")])
            except H2Error as error:
                raise CallFailed(Code.CANCELLED, "the peer gave the call up") from error

    def _room(self, call: Call) -> int:
        if not self.is_open or call.stream not in self._calls:
            raise CallFailed(Code.UNAVAILABLE, "the connection is lost")
        try:
            return self._h2.local_flow_control_window(call.stream)
        except H2Error as error:
            raise CallFailed(Code.CANCELLED, "the peer gave the call up") from error

    def _credit(self, call: Call, counted: int) -> None:
        if counted and self.is_open:
            try:
                self._h2.acknowledge_received_data(counted, call.stream)
            except H2Error:
                return

    def _reset(self, stream: int, code: int) -> None:
        try:
            self._h2.reset_stream(stream, code)
        except H2Error:
            return

    def _flush(self) -> None:
        """Never waits: a reader that waited for a peer, which waits for its own reader, would wait for ever."""
        data = self._h2.data_to_send()
        if data and self._writer is not None and self.is_open:
            self._writer.write(data)
            if self._writer.transport.get_write_buffer_size() > _UNREAD:
                self._writer.transport.abort()  # it asks and asks and takes no answer

    async def _sent(self) -> None:
        self._flush()
        if self._writer is not None and self.is_open:
            try:
                await self._writer.drain()
            except ConnectionError:
                self._lose()

    def _lose(self) -> None:
        self.is_open = False
        for call in self._calls.values():
            call.finish(CallFailed(Code.UNAVAILABLE, "the client's connection is lost"))
        for task in self._tasks.values():
            task.cancel()
        self._window.set()
