"""File descriptors: passing them over SOCK_SEQPACKET sockets, and shutting the rest."""

import array
import os
import socket

from corten.kernel.libc import check, syscall

_LAST = 0xFFFFFFFF
_SYS_CLOSE_RANGE = 436


def send_message(sock: socket.socket, data: bytes, fds: list[int] | tuple[int, ...] = ()) -> None:
    """One message with its fds; the sender keeps its own copies. Blocks as the socket does."""
    if fds:
        sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    else:
        sock.send(data)


def recv_message(sock: socket.socket, size: int, maxfds: int = 0) -> tuple[bytes, list[int]]:
    """One message of at most `size` bytes and its fds, close-on-exec and now the caller's. (b"", []) at end of file.

    A message cut short (more bytes or fds than room) is an OSError, and its fds are closed.
    """
    room = socket.CMSG_LEN(maxfds * 4) if maxfds else 0  # CMSG_SPACE may have room for one more
    data, ancillary, flags, _ = sock.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) // 4 * 4])
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise OSError("recvmsg: message cut short")
    return data, fds.tolist()


def close_range(first: int, last: int = _LAST, flags: int = 0) -> None:
    """Linux 5.9; its flags are newer (5.11)."""
    check(syscall(_SYS_CLOSE_RANGE, first, last, flags), "close_range")
