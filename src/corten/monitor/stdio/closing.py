"""Ending a client's stream so that it reads all that was sent and then the end, never an error."""

import os
import socket

_SCRAP = 64 << 10


def hang_up(sock: socket.socket) -> bool:
    """Shut both directions and read away what came in. True when the socket may be closed now.

    Closing with unread input makes the kernel answer with a reset, which destroys output that the peer has not read yet: at once
    on unix sockets (reading away helps, for shutdown keeps more from coming), on TCP whenever more input arrives: there False means
    "keep it until the peer closes, or a few seconds".
    """
    local = sock.family == socket.AF_UNIX
    try:
        sock.shutdown(socket.SHUT_RDWR if local else socket.SHUT_WR)
    except OSError:
        return True
    return drain(sock) or local


def drain(sock: socket.socket) -> bool:
    """Read away pending input; True at its end."""
    try:
        while sock.recv(_SCRAP, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def adopt_socket(fd: int) -> socket.socket:
    """A socket object that owns `fd`, non-blocking. (The flag belongs to the open description, so the sender's copy has it too.)"""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def is_socket(fd: int) -> bool:
    return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
