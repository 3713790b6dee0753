"""A container's streams and ours: keys in, output out, until the container or the user ends it.

```
 stdin ──thread──► Upgraded socket ──main──► frames ──► stdout, stderr
            │ detach keys                      (a terminal's stream has none)
            └─ shut the socket down: the main side sees the end
```
Both sides block, so a slow reader slows the container and no byte is lost; the input has a thread, so neither waits for the other.
Signals interrupt the main side and are handled there.
"""

import os
from _socket import SHUT_RDWR, socket
from _thread import start_new_thread
from contextlib import AbstractContextManager, nullcontext

from corten.cli.terminal.keys import Detector
from corten.cli.terminal.tty import raw_mode
from corten.http.client import Upgraded
from corten.http.frames import STDERR, FrameDecoder

READ_SIZE = 32 * 1024


class Conversation:
    """`keys` detach when stdin is a terminal that is passed on raw; without `stdin` only output flows."""

    def __init__(self, stream: Upgraded, *, framed: bool, stdin: int | None, out: int, err: int, keys: bytes = b"") -> None:
        self._stream = stream
        self._framed = framed
        self._stdin = stdin
        self._out = out
        self._err = err
        self._detector = Detector(keys) if keys else None
        self.detached = False

    def terminal(self) -> AbstractContextManager[None]:
        """Raw mode, where the input is a terminal that the container owns."""
        raw = self._stdin is not None and self._detector is not None and os.isatty(self._stdin)
        return raw_mode(self._stdin) if raw and self._stdin is not None else nullcontext()

    def start_input(self) -> None:
        """From here on what the user types goes to the container."""
        if self._stdin is not None:
            start_new_thread(self._pass_input, (self._stdin,))

    def copy_output(self) -> None:
        """Returns when the container's output ends, or the user has detached."""
        decoder = FrameDecoder() if self._framed else None
        while data := self._stream.recv():
            if decoder is None:
                write_all(self._out, data)
                continue
            for stream, piece in decoder.feed(data):
                write_all(self._err if stream == STDERR else self._out, piece)

    def _pass_input(self, fd: int) -> None:
        try:
            while data := os.read(fd, READ_SIZE):
                if self._detector is not None:
                    data, self.detached = self._detector.feed(data)
                if data:
                    self._stream.send(data)
                if self.detached:
                    _shut_down(self._stream)
                    return
        except OSError:
            pass  # no more input, or nobody who wants it: the output side learns how the container ended
        self._stream.half_close()


def _shut_down(stream: Upgraded) -> None:
    """Both directions, so that a receive in another thread returns."""
    sock = socket(fileno=os.dup(stream.fileno()))
    try:
        sock.shutdown(SHUT_RDWR)
    finally:
        sock.close()


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody else made our stdout non-blocking
            from select import select

            select([], [fd], [])
