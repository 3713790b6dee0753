"""One `logs` request in a process of its own: reads the files, follows them, writes to the client, ends.

Its own process because a gigabyte of log would hold up the sixteen containers of a monitor, and two cores read twice as fast.
"""

import select
import socket
import time
from collections.abc import Iterator

from corten.monitor.logs.decode import runs
from corten.monitor.logs.follow import Follower
from corten.monitor.logs.read import blocks, keep_tail, open_log
from corten.monitor.logs.render import Renderer, Selection, bound
from corten.monitor.logs.rotation import DEFAULT_MAX_FILE
from corten.monitor.stdio.closing import adopt_socket, drain, hang_up
from corten.monitor.values import LogOptions

_LINGER_SECONDS = 5.0


class ClientGone(Exception):
    """Nobody reads any more."""


class Reply:
    """The client's socket, with a follower that is served while the client is slow."""

    def __init__(self, sock: socket.socket, *, chunked: bool) -> None:
        self._sock = sock
        self._chunked = chunked
        self._poll = select.poll()
        self._follower: Follower | None = None
        self._poll.register(sock, 0)

    def follow(self, follower: Follower) -> None:
        self._follower = follower
        self._poll.register(follower.fd, select.POLLIN)

    def leave(self) -> None:
        """The follower is about to be closed: the end of the stream may still have to wait for the client."""
        assert self._follower is not None
        self._poll.unregister(self._follower.fd)
        self._follower = None

    def begin(self, head: str) -> None:
        """What comes before the log, bare."""
        self._put(head.encode("latin-1"))

    def send(self, data: bytes) -> None:
        """All of `data`; waits for the client as long as it takes."""
        if data:
            self._put(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                self.wait(None, select.POLLOUT)
            except OSError:
                raise ClientGone from None

    def wait(self, timeout: float | None, mask: int = 0) -> bool:
        """Until the follower has news, the client is ready (`mask`), or `timeout` seconds are over (then False)."""
        self._poll.modify(self._sock, mask)
        ready = dict(self._poll.poll(None if timeout is None else max(0.0, timeout * 1000)))
        if ready.get(self._sock.fileno(), 0) & (select.POLLHUP | select.POLLERR):
            raise ClientGone
        if self._follower is not None and self._follower.fd in ready:
            self._follower.notice()
        return bool(ready)

    def end(self) -> None:
        if self._chunked:
            self._put(b"0\r\n\r\n")
        if hang_up(self._sock):
            return
        deadline = time.monotonic() + _LINGER_SECONDS
        while not drain(self._sock) and self.wait(deadline - time.monotonic(), select.POLLIN):
            pass


def serve_logs(fd: int, options: LogOptions, runtime_dir: str) -> None:
    """Answer one request on `fd` (ours to close). Ends quietly when the client goes."""
    sock = adopt_socket(fd)
    with sock:
        try:
            reply = Reply(sock, chunked=options["chunked"])
            _stream(reply, options, runtime_dir)
            reply.end()
        except ClientGone:
            pass


def _stream(reply: Reply, options: LogOptions, runtime_dir: str) -> None:
    log = options["log"]
    renderer = Renderer(_selection(options))
    follower = Follower(log["path"], runtime_dir) if options["follow"] else None
    if follower is not None and follower.is_over:
        follower.close()
        follower = None
    max_file = log.get("max_file", DEFAULT_MAX_FILE)
    files = open_log(log["path"], max_file) if follower is None else follower.open_log(max_file)
    reply.begin(options.get("head", ""))
    if options["tail"] >= 0:
        files = keep_tail(files, options["tail"])
    if follower is None:
        _send(reply, renderer, blocks(files))
        return
    reply.follow(follower)
    _send(reply, renderer, blocks(files))
    follower.begin(files[-1] if files else None)
    _follow(reply, renderer, follower, options["until_ns"])
    reply.leave()
    follower.close()


def _follow(reply: Reply, renderer: Renderer, follower: Follower, until_ns: int) -> None:
    while not renderer.is_over:
        over = follower.is_over
        block = follower.block()
        if block:
            _send(reply, renderer, iter([block]))
        elif over:
            return
        else:
            left = until_ns / 1e9 - time.time() if until_ns else None
            if left is not None and left < 0:
                return
            reply.wait(left)


def _send(reply: Reply, renderer: Renderer, found: Iterator[bytes]) -> None:
    for block in found:
        reply.send(b"".join([renderer.render(run) for run in runs(block)]))
        if renderer.is_over:
            return


def _selection(options: LogOptions) -> Selection:
    return Selection(
        stdout=options["stdout"],
        stderr=options["stderr"],
        since=bound(options["since_ns"]),
        until=bound(options["until_ns"]),
        timestamps=options["timestamps"],
        details=options["details"],
        framed=options["framed"],
    )
