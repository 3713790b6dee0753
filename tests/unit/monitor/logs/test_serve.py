"""The end of a `logs` answer, for a client that is slow."""

import socket
import threading
from pathlib import Path

from corten.monitor.logs.follow import Follower
from corten.monitor.logs.serve import Reply


def filled(sock: socket.socket) -> int:
    """How many bytes went into the socket until it would take no more."""
    sent = 0
    try:
        while True:
            sent += sock.send(bytes(1 << 16))
    except BlockingIOError:
        return sent


def read_all(sock: socket.socket) -> bytes:
    received = bytearray()
    while data := sock.recv(1 << 16):
        received += data
    return bytes(received)


def test_the_end_of_a_followed_log_waits_for_a_slow_client(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        reply = Reply(theirs, chunked=True)
        follower = Follower(str(tmp_path / "log"), str(tmp_path))
        reply.follow(follower)
        (tmp_path / "exit.json").touch()
        reply.leave()
        follower.close()
        waiting = filled(theirs)
        ending = threading.Thread(target=reply.end)
        ending.start()
        received = read_all(ours)
        ending.join()
    assert received == bytes(waiting) + b"0\r\n\r\n"
