"""Messages between daemon, launcher and monitors: one SOCK_SEQPACKET packet each, JSON, with file descriptors beside it.

    request   {"n": 7, "op": "start", ...}        reply   {"n": 7, "ok": {...}}  or  {"n": 7, "error": WireError}
    event     {"event": "exited", ...}            (no reply)

A message too big for a packet travels in a memfd that is its last descriptor; the packet then only says `{"big": bytes}`.
Pure encoding and the address of a socket; who waits for what is the business of the two ends.
"""

import json
import os
import socket

from corten.kernel.fds import recv_message, send_message
from corten.monitor.values import JsonObject

PACKET_MAX = 48 << 10
"""Bytes of JSON that fit a packet under every kernel's default socket buffer (212 KiB, of which a packet may use half)."""

FDS_MAX = 16
"""Descriptors in one message, the memfd of a big one included."""

_PATH_MAX = 100


def encode(message: JsonObject) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def decode(packet: bytes) -> JsonObject:
    message = json.loads(packet)
    assert isinstance(message, dict)
    return message


class Outgoing:
    """A message ready to be sent, perhaps later: it has its own copies of the descriptors and closes them."""

    __slots__ = ("fds", "packet")

    def __init__(self, message: JsonObject, fds: tuple[int, ...] = ()) -> None:
        self.packet = encode(message)
        self.fds = [os.dup(fd) for fd in fds]
        if len(self.packet) > PACKET_MAX:
            self.fds.append(_in_memory(self.packet))
            self.packet = encode({"big": len(self.packet)})

    def send(self, sock: socket.socket) -> None:
        """Raises BlockingIOError when a non-blocking socket is full: try again later. After success or another error: close()."""
        send_message(sock, self.packet, self.fds)

    def close(self) -> None:
        while self.fds:
            os.close(self.fds.pop())


def send(sock: socket.socket, message: JsonObject, fds: tuple[int, ...] = ()) -> None:
    """Send now; the sender keeps its descriptors. BlockingIOError if the socket is non-blocking and full."""
    packet = encode(message)
    if len(packet) <= PACKET_MAX:
        send_message(sock, packet, fds)
        return
    outgoing = Outgoing(message, fds)
    try:
        outgoing.send(sock)
    finally:
        outgoing.close()


def receive(sock: socket.socket) -> tuple[JsonObject, list[int]] | None:
    """The next message and its descriptors (the caller's now, close-on-exec); None when the peer is gone."""
    try:
        packet, fds = recv_message(sock, PACKET_MAX + 1, FDS_MAX)
    except ConnectionResetError:
        return None
    if not packet:
        return None
    message = decode(packet)
    if "big" in message:
        big = fds.pop()
        try:
            message = decode(os.pread(big, message["big"], 0))
        finally:
            os.close(big)
    return message, fds


def _in_memory(data: bytes) -> int:
    fd = os.memfd_create("corten-message")
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], written)
    return fd


def new_claim() -> int:
    """A descriptor that only one of all who have a copy can `claim`: it makes a request that is repeated be done at most once."""
    return os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def claim(fd: int) -> bool:
    """Whether we are the first."""
    try:
        os.eventfd_read(fd)
    except BlockingIOError:
        return False
    return True


def listen(path: str) -> socket.socket:
    """A non-blocking listening socket at `path`, mode 0600; what lay there before is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _Address(path) as address:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            sock.bind(address)
        os.chmod(path, 0o600)
        sock.listen(64)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def connect(path: str) -> socket.socket:
    """A connection to `path`, blocking. FileNotFoundError or ConnectionRefusedError when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _Address(path) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class _Address:
    """A socket path of any length: a long one goes through its folder's descriptor, for sun_path holds 108 bytes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _PATH_MAX:
            return self._path
        folder, name = os.path.split(self._path)
        self._fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{name}"

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
