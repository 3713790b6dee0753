"""The daemon's end of one connection to the launcher or a monitor: requests with answers, events, and the news of its loss."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

from corten.errors import Unavailable, from_wire
from corten.monitor.values import JsonObject
from corten.monitor.wire import Outgoing, connect, receive


class LinkLost(Unavailable):
    """The process at the other end is gone; whether it did what was asked is not known."""


class Link:
    """One open connection, used from one event loop."""

    def __init__(
        self, path: str, *, on_event: Callable[[JsonObject], None], on_lost: Callable[[], None], on_answer: Callable[[JsonObject], None]
    ) -> None:
        """Connects at once (a local socket: no waiting). FileNotFoundError or ConnectionRefusedError when nobody listens.

        `on_answer` sees each good answer when it comes in, before events behind it: who awaits it wakes up only after those.
        """
        self.path = path
        self.in_flight = 0
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_answer = on_answer
        self._sock: socket.socket | None = connect(path)
        self._sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[JsonObject]] = {}
        self._unsent: deque[Outgoing] = deque()
        self._last = 0
        self._loop.add_reader(self._sock, self._readable)

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    async def request(self, op: str, arguments: JsonObject, fds: tuple[int, ...] = ()) -> JsonObject:
        """The answer's value. Raises what the other end raised, or LinkLost. `fds` are copied before this first waits."""
        if self._sock is None:
            raise LinkLost(f"{self.path} is gone", reason="monitor-lost")
        self._last += 1
        number = self._last
        future: asyncio.Future[JsonObject] = self._loop.create_future()
        self._waiting[number] = future
        self.in_flight += 1
        try:
            self._send(Outgoing({"n": number, "op": op} | arguments, fds))
            return await future
        finally:
            self.in_flight -= 1
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up without a word to `on_lost`; the other end goes on."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._sock = None
        while self._unsent:
            self._unsent.popleft().close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLost(f"{self.path} is gone", reason="monitor-lost"))

    def _send(self, outgoing: Outgoing) -> None:
        self._unsent.append(outgoing)
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        assert self._sock is not None
        while self._unsent:
            try:
                self._unsent[0].send(self._sock)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._flush)
                return
            except OSError:
                self._lost()
                return
            self._unsent.popleft().close()
        self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        for _ in range(64):
            if self._sock is None:
                return
            try:
                got = receive(self._sock)
            except BlockingIOError:
                return
            if got is None:
                self._lost()
                return
            message, fds = got
            for fd in fds:
                os.close(fd)
            self._deliver(message)

    def _deliver(self, message: JsonObject) -> None:
        if "event" in message:
            self._on_event(message)
            return
        if "ok" in message:
            self._on_answer(message["ok"])
        future = self._waiting.get(message["n"])
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(from_wire(message["error"]))
        else:
            future.set_result(message["ok"])

    def _lost(self) -> None:
        self.close()
        self._on_lost()
