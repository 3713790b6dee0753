"""`GET /containers/{id}/attach/ws`. What is expected here is what Docker 28.5 answered to the same bytes."""

import pytest

from corten.http.websocket import Opcode
from tests.support.daemon import IMAGE, Daemon
from tests.support.websocket import WebSocket

pytestmark = pytest.mark.privileged
ALL = "stream=1&stdin=1&stdout=1&stderr=1"
CLOSED = (Opcode.CLOSE, b"\x03\xe8")


def create(daemon: Daemon, name: str, *command: str, **config: bool) -> None:
    body = {"Image": IMAGE, "Cmd": list(command), "OpenStdin": True, **config}
    daemon.call("POST", f"/containers/create?name={name}", body).ok()


def attach(daemon: Daemon, name: str, query: str = ALL, version: str = "1.51") -> WebSocket:
    return WebSocket(str(daemon.socket), f"/v{version}/containers/{name}/attach/ws?{query}")


def remove(daemon: Daemon, name: str) -> None:
    daemon.call("DELETE", f"/containers/{name}?force=1").ok()


def test_attached_before_the_start_it_gets_all_output_and_the_end(engine: Daemon, name: str) -> None:
    create(engine, name, "sh", "-c", "echo out; echo err >&2; read x; echo got $x")
    with attach(engine, name) as client:
        assert client.head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        engine.call("POST", f"/containers/{name}/start").ok()
        assert client.receive_until(b"err\n") in (b"out\nerr\n", b"err\nout\n")
        client.send(b"abc\n")
        assert client.receive() == (Opcode.BINARY, b"got abc\n")
        assert client.receive() == CLOSED
    with attach(engine, name, "logs=1&stdout=1&stderr=1") as client:
        assert client.receive_until(b"got abc\n").splitlines() == [b"out", b"err", b"got abc"]
        assert client.receive() == CLOSED
    remove(engine, name)


def test_a_client_that_closes_ends_the_input_of_stdin_once(engine: Daemon, name: str) -> None:
    create(engine, name, "cat", StdinOnce=True)
    engine.call("POST", f"/containers/{name}/start").ok()
    with attach(engine, name) as client:
        client.send(b"typed\n", Opcode.TEXT)
        assert client.receive() == (Opcode.BINARY, b"typed\n")
        client.send(b"\x03\xe8bye", Opcode.CLOSE)
        assert client.receive() == CLOSED
    assert engine.call("POST", f"/containers/{name}/wait").ok()["StatusCode"] == 0
    remove(engine, name)


def test_keys_detach_from_a_terminal_and_it_runs_on(engine: Daemon, name: str) -> None:
    create(engine, name, "cat", Tty=True)
    engine.call("POST", f"/containers/{name}/start").ok()
    with attach(engine, name, f"{ALL}&detachKeys=ctrl-x,x") as client:
        client.send(b"hi\n")
        client.receive_until(b"hi\r\nhi\r\n")
        client.send(b"\x18x")
        assert client.receive() == CLOSED
    assert engine.call("GET", f"/containers/{name}/json").ok()["State"]["Running"]
    remove(engine, name)


@pytest.mark.parametrize(("version", "opcode"), [("1.27", Opcode.TEXT), ("1.41", Opcode.BINARY)])
def test_older_clients_get_every_stream_unasked(engine: Daemon, name: str, version: str, opcode: Opcode) -> None:
    create(engine, name, "cat")
    engine.call("POST", f"/containers/{name}/start").ok()
    with attach(engine, name, "stream=1", version) as client:
        client.send(b"hi\n")
        assert client.receive() == (opcode, b"hi\n")
    remove(engine, name)


def test_much_output_arrives_whole(engine: Daemon, name: str) -> None:
    create(engine, name, "seq", "1", "200000")
    with attach(engine, name) as client:
        engine.call("POST", f"/containers/{name}/start").ok()
        assert client.receive_until(b"\n200000\n") == b"".join(b"%d\n" % number for number in range(1, 200_001))
        assert client.receive() == CLOSED
    remove(engine, name)


def test_what_is_refused(engine: Daemon, name: str) -> None:
    with attach(engine, "nothing") as client:
        assert client.head.startswith("HTTP/1.1 404 ")
    create(engine, name, "cat")
    with attach(engine, name, f"{ALL}&detachKeys=ctrl-foo") as client:
        assert client.head.startswith("HTTP/1.1 400 ")
    answer = engine.call("GET", f"/containers/{name}/attach/ws?{ALL}")
    assert (answer.status, answer.body) == (400, b"not websocket protocol")
    remove(engine, name)
