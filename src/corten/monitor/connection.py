"""The launcher's and the monitors' side of their sockets: listening, connections that queue what does not fit, requests.

Three kinds of message: a request (`op`, answered), an event (to the daemon), and a note (`note`, between launcher and monitor, one way).
"""

import os
import socket
import traceback
from collections import deque
from collections.abc import Callable

from corten.errors import Conflict, EngineError
from corten.monitor.loop import EPOLLIN, EPOLLOUT, Loop
from corten.monitor.values import JsonObject
from corten.monitor.wire import Outgoing, claim, receive, send

Fds = list[int]


class Connection:
    """One peer. Owns the socket. `on_message` may keep descriptors by taking them out of the list; the rest are closed after it."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        *,
        on_message: Callable[["Connection", JsonObject, Fds], None],
        on_closed: Callable[["Connection"], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._unsent: deque[Outgoing] = deque()
        self.is_open = True
        loop.add(sock.fileno(), EPOLLIN, self._event)

    def send(self, message: JsonObject, fds: tuple[int, ...] = ()) -> None:
        """Now or when there is room. Nothing happens when the peer is gone."""
        if not self.is_open:
            return
        if not self._unsent:
            try:
                send(self._sock, message, fds)
                return
            except BlockingIOError:
                self._loop.change(self._sock.fileno(), EPOLLIN | EPOLLOUT)
            except OSError:
                return  # its end will be read in a moment
        self._unsent.append(Outgoing(message, fds))

    def read_to_end(self) -> None:
        """Take in all that a peer which died has still said."""
        while self.is_open and self._read_one():
            pass

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        while self._unsent:
            self._unsent.popleft().close()
        self._loop.remove(self._sock.fileno())
        self._loop.close(self._sock.detach())
        self._on_closed(self)

    def _event(self, mask: int) -> None:
        if mask & EPOLLOUT:
            self._flush()
        if mask & ~EPOLLOUT:
            for _ in range(16):
                if not self.is_open or not self._read_one():
                    return

    def _read_one(self) -> bool:
        try:
            got = receive(self._sock)
        except BlockingIOError:
            return False
        if got is None:
            self.close()
            return False
        message, fds = got
        try:
            self._on_message(self, message, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _flush(self) -> None:
        while self._unsent:
            try:
                self._unsent[0].send(self._sock)
            except BlockingIOError:
                return
            except OSError:
                pass
            self._unsent.popleft().close()
        self._loop.change(self._sock.fileno(), EPOLLIN)


class Request:
    """One question; `answer` or `refuse` it once, now or later."""

    __slots__ = ("_number", "arguments", "connection", "fds", "op")

    def __init__(self, connection: Connection, message: JsonObject, fds: Fds) -> None:
        self.connection = connection
        self._number: int = message["n"]
        self.op: str = message["op"]
        self.arguments = message
        self.fds = fds

    def claim(self) -> None:
        """Take the token that comes first among the descriptors. Conflict when its sender has given up on this request."""
        token = self.fds.pop(0)
        try:
            if not claim(token):
                raise Conflict("this request is no longer wanted", reason="request-withdrawn")
        finally:
            os.close(token)

    def answer(self, value: JsonObject | None = None) -> None:
        self.connection.send({"n": self._number, "ok": value or {}})

    def refuse(self, error: EngineError) -> None:
        self.connection.send({"n": self._number, "error": error.to_wire()})


def handle(request: Request, operations: dict[str, Callable[[Request], None]]) -> None:
    """Have the operation answer. Whatever goes wrong in it is the asker's news, not the end of a process that others depend on."""
    operation = operations.get(request.op)
    if operation is None:
        hint = "daemon and launcher differ in version"
        request.refuse(EngineError(f"unknown operation {request.op!r}", reason="unknown-operation", hint=hint))
        return
    try:
        operation(request)
    except EngineError as e:
        request.refuse(e)
    except OSError as e:
        request.refuse(EngineError(str(e), reason="os-error"))
    except Exception as e:  # noqa: BLE001 - fifteen other containers depend on this process
        traceback.print_exc()
        request.refuse(EngineError(f"{type(e).__name__}: {e}", reason="internal"))


class Door:
    """Accepts connections on a listening socket, which it owns."""

    def __init__(self, loop: Loop, sock: socket.socket, on_connection: Callable[[socket.socket], Connection]) -> None:
        self.sock = sock
        self._loop = loop
        self._on_connection = on_connection
        loop.add(sock.fileno(), EPOLLIN, self._accept)

    def close(self) -> None:
        self._loop.remove(self.sock.fileno())
        self.sock.close()

    def _accept(self, _: int) -> None:
        try:
            accepted, _address = self.sock.accept()
        except OSError:  # gone again, or no descriptor free: the next round tries again
            return
        self._on_connection(accepted)
