"""Messages of any size and with descriptors, over a real socket pair."""

import os
import socket
from pathlib import Path

import pytest

from corten.monitor.wire import PACKET_MAX, Outgoing, claim, connect, listen, new_claim, receive, send


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@pytest.mark.parametrize("size", [0, PACKET_MAX, 3 * PACKET_MAX])
def test_with_a_descriptor(size: int) -> None:
    ours, theirs = pair()
    read, write = os.pipe()
    with ours, theirs:
        send(ours, {"n": 1, "text": "x" * size}, (write,))
        os.close(write)
        got = receive(theirs)
        assert got is not None
        message, fds = got
        assert message == {"n": 1, "text": "x" * size}
        assert len(fds) == 1
        os.write(fds[0], b"through")
        os.close(fds[0])
    assert os.read(read, 99) == b"through"
    assert os.read(read, 99) == b""
    os.close(read)


def test_a_message_that_waits_keeps_its_descriptors() -> None:
    ours, theirs = pair()
    read, write = os.pipe()
    outgoing = Outgoing({"x": 1}, (write,))
    os.close(write)
    with ours, theirs:
        outgoing.send(ours)
        outgoing.close()
        got = receive(theirs)
        assert got is not None
        os.close(got[1][0])
    assert os.read(read, 1) == b""
    os.close(read)


def test_the_end() -> None:
    ours, theirs = pair()
    with theirs:
        ours.close()
        assert receive(theirs) is None


def test_a_path_longer_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    path = str(folder / "socket")
    with listen(path) as server, connect(path) as client:
        assert os.stat(path).st_mode & 0o777 == 0o600
        accepted, _ = server.accept()
        with accepted:
            send(client, {"a": 1})
            assert receive(accepted) == ({"a": 1}, [])


def test_only_the_first_claims() -> None:
    token = new_claim()
    assert claim(token)
    assert not claim(token)
    os.close(token)
