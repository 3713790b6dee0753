"""The line between the runtime and the process that becomes the container: SOCK_SEQPACKET, one byte of kind, then JSON.

```
 parent                               child (new namespaces)
   | -- MAPPED ------------------------> |   user namespace only: the id maps are written
   | -- CGROUP [fds] ------------------> |   enter these, then unshare the cgroup namespace
   | <------------------------ MOUNTED - |   only if there are prestart or createRuntime hooks
   | -- HOOKS_DONE --------------------> |
   | <------------- READY {} [console] - |   all is set up, the program is found
   | -- START -------------------------> |   maybe by another process, through the socket in the state directory
   | <---------------------- end of file |   the program runs (close-on-exec)
```
Wherever it is, the child may send FAILED with an error; the parent raises it again. An end of file before READY is a death.
"""

import json
import socket
from typing import Any

from corten.errors import EngineError, from_wire
from corten.kernel.fds import recv_message, send_message

MAPPED, CGROUP, MOUNTED, HOOKS_DONE, READY, START, FAILED, FORKED, NOTIFY = (
    b"m",
    b"c",
    b"M",
    b"h",
    b"r",
    b"s",
    b"e",
    b"f",
    b"n",
)
_SIZE = 1 << 16


class Channel:
    """One end; both are close-on-exec."""

    __slots__ = ("sock",)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, kind: bytes, body: Any = None, fds: tuple[int, ...] | list[int] = ()) -> None:
        """A peer that is gone is not an error here: the next `receive` says so."""
        try:
            send_message(self.sock, kind + json.dumps(body).encode() if body else kind, fds)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def fail(self, error: EngineError) -> None:
        wire = error.to_wire()
        wire["message"] = wire["message"][: _SIZE // 4]
        self.send(FAILED, wire)

    def receive(self, kind: bytes, maxfds: int = 0) -> tuple[Any, list[int]]:
        """The body and fds of the next message, which must be of `kind`. Raises the peer's error; ChannelClosed at end of file."""
        found, body, fds = self.receive_any(maxfds)
        if found == FAILED:
            raise from_wire(body)
        assert found == kind, f"{found!r} came in place of {kind!r}"
        return body, fds

    def receive_any(self, maxfds: int = 0) -> tuple[bytes, Any, list[int]]:
        """(kind, body, fds) of the next message. ChannelClosed at end of file."""
        try:
            message, fds = recv_message(self.sock, _SIZE, maxfds)
        except ConnectionResetError:  # it closed without reading all of ours; that is told once, before what it sent
            message, fds = recv_message(self.sock, _SIZE, maxfds)
        if not message:
            raise ChannelClosed("the container's first process died while being set up", reason="init-died")
        return message[:1], json.loads(message[1:]) if len(message) > 1 else None, fds

    def close(self) -> None:
        self.sock.close()


class ChannelClosed(EngineError):
    """The peer closed its end: for a parent after START, the program runs."""


def open_channel() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), Channel(theirs)


def report_bug(channel: Channel, error: BaseException | None) -> None:
    """The last words of a child that ends by an exception nobody foresaw; nothing for None."""
    if error is not None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        channel.fail(EngineError(f"internal error: {type(error).__name__}: {error}{place}", reason="bug"))
