"""Slow, vanishing and half-closing clients of a real daemon: nothing of them stays, nobody else waits for them."""

import socket
import time
from collections.abc import Callable

import pytest

from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged


def connect(daemon: Daemon, request: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(str(daemon.socket))
    sock.sendall(request.replace("\n", "\r\n").encode())
    return sock


def get(target: str) -> str:
    return f"GET {target} HTTP/1.1\nHost: h\n\n"


def post(target: str, fields: str = "Content-Length: 0\n") -> str:
    return f"POST {target} HTTP/1.1\nHost: h\n{fields}\n"


def head_of(sock: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        data = sock.recv(4096)
        assert data, received
        received += data
    return received


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sleeper(daemon: Daemon) -> str:
    created = daemon.call("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sleep", "300"]}).ok()
    daemon.call("POST", f"/containers/{created['Id']}/start").ok()
    return str(created["Id"])


def listeners(daemon: Daemon) -> int:
    return int(daemon.call("GET", "/info").ok()["NEventsListener"])


def test_vanishing_clients_leave_nothing(leaks: Daemon) -> None:
    """Streams, half requests, uploads and attaches that are dropped in the middle; the leak fixture counts descriptors afterwards."""
    container = sleeper(leaks)
    dropped = [
        get("/events"),
        post(f"/containers/{container}/wait"),
        get(f"/containers/{container}/logs?stdout=1&follow=1"),
        post(f"/containers/{container}/attach?stream=1&stdout=1", "Connection: Upgrade\nUpgrade: tcp\nContent-Length: 0\n"),
    ]
    half_said = ["GET /_pi", post("/containers/create", "Content-Type: application/json\nContent-Length: 99\n") + '{"Im']
    half_said.append(post("/images/load", "Content-Type: application/x-tar\nTransfer-Encoding: chunked\n") + "400\n")
    before = listeners(leaks)
    for _ in range(10):
        socks = [connect(leaks, request) for request in dropped]
        for sock in socks:
            head_of(sock)
        socks += [connect(leaks, request) for request in half_said]
        for sock in socks:
            sock.close()
    until(lambda: listeners(leaks) == before)
    leaks.call("DELETE", f"/containers/{container}?force=1").ok()


def test_a_client_that_does_not_read_holds_nobody_up(daemon: Daemon) -> None:
    """Events pile up for one listener that sleeps; calls go on, and a listener that reads gets its events."""
    container = sleeper(daemon)
    with connect(daemon, get("/events")) as deaf, connect(daemon, get("/events")) as awake:
        head_of(deaf)
        head_of(awake)
        for number in range(300):
            daemon.call("POST", f"/containers/{container}/rename?name=renamed-{number}").ok()
        seen = b""
        while b"renamed-299" not in seen:
            seen += awake.recv(65536)
    assert daemon.call("GET", "/_ping").status == 200


def test_a_half_closed_client_hears_how_its_container_ended(daemon: Daemon) -> None:
    container = sleeper(daemon)
    with connect(daemon, post(f"/containers/{container}/wait")) as waiting:
        waiting.shutdown(socket.SHUT_WR)
        assert head_of(waiting).startswith(b"HTTP/1.1 200 OK")
        daemon.call("POST", f"/containers/{container}/kill").ok()
        rest = b""
        while data := waiting.recv(4096):
            rest += data
    assert b'"StatusCode":137' in rest


def test_a_body_that_trickles_in_blocks_nobody(daemon: Daemon) -> None:
    body = f'{{"Image":"{IMAGE}","Cmd":["true"]}}'
    with connect(daemon, post("/containers/create", f"Content-Type: application/json\nContent-Length: {len(body)}\n")) as slow:
        for character in body:
            slow.sendall(character.encode())
            assert daemon.call("GET", "/_ping").status == 200
        assert head_of(slow).startswith(b"HTTP/1.1 201 Created")
