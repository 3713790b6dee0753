"""Terminals: by a console socket, for init and exec, and what the container sees of them."""

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.kernel.pty import get_window_size, set_window_size
from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged


class Console:
    """Listens as conmon does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(2)
        self._listener.settimeout(10)
        self._masters: list[int] = []

    def master(self) -> int:
        connection, _ = self._listener.accept()
        with connection:
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        self._masters.append(fds[0])
        return fds[0]

    def close(self) -> None:
        self._listener.close()
        for fd in self._masters:
            os.close(fd)


@pytest.fixture
def console() -> Iterator[Console]:
    path = Path(f"/tmp/corten-console-{os.getpid()}")  # a socket's path must be short
    path.unlink(missing_ok=True)
    made = Console(path)
    yield made
    made.close()
    path.unlink()


def read_until(fd: int, wanted: str, seconds: float = 5) -> str:
    text, deadline = "", time.monotonic() + seconds
    while wanted not in text:
        assert select.select([fd], [], [], max(0, deadline - time.monotonic()))[0], f"{wanted!r} did not come: {text!r}"
        text += os.read(fd, 4096).decode()
    return text


def test_the_first_process_has_a_terminal(bundle: Bundle, console: Console) -> None:
    bundle.process["terminal"] = True
    bundle.process["consoleSize"] = {"height": 33, "width": 99}
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    looks = "tty; stat -c '%t %T' /dev/console; stat -c %u $(tty); stty size"
    bundle.shell(f"{looks}; echo > /dev/tty && echo controlling; read line; echo got $line; exit 3")
    bundle.create("--console-socket", str(console.path))
    master = console.master()
    bundle.call("start", bundle.id).ok()
    text = read_until(master, "controlling")
    lines = text.split()
    assert lines[0] == "/dev/pts/0"
    assert lines[1:3] == ["88", "0"]
    assert lines[3] == "1000"
    assert lines[4:6] == ["33", "99"]
    assert get_window_size(master) == (33, 99)
    os.write(master, b"hello\n")
    assert "got hello" in read_until(master, "got hello")


def test_an_interrupt_key_reaches_it(bundle: Bundle, console: Console) -> None:
    bundle.process["terminal"] = True
    bundle.shell("trap 'echo caught; exit 0' INT; echo ready; while :; do sleep 0.05; done")
    bundle.create("--console-socket", str(console.path))
    master = console.master()
    bundle.call("start", bundle.id).ok()
    read_until(master, "ready")
    os.write(master, b"\x03")
    read_until(master, "caught")


def test_exec_has_one_of_its_own(bundle: Bundle, console: Console) -> None:
    bundle.process["args"] = ["sleep", "1000"]
    bundle.start()
    script = "tty; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    bundle.call("exec", "--tty", "--detach", "--console-socket", str(console.path), bundle.id, "sh", "-c", script).ok()
    master = console.master()
    assert "/dev/pts/0" in read_until(master, "ready")
    set_window_size(master, 20, 70)
    assert "20 70" in read_until(master, "20 70")


def test_a_terminal_needs_a_console_socket_when_detached(bundle: Bundle) -> None:
    bundle.process["terminal"] = True
    bundle.save()
    done = bundle.call("create", "--bundle", str(bundle.directory), bundle.id)
    assert done.code != 0
    assert "console socket" in done.err


def test_without_a_devpts_there_is_no_terminal(bundle: Bundle, console: Console) -> None:
    if not IS_OURS:
        pytest.skip("others take what lies at /dev/pts")
    bundle.process["terminal"] = True
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev/pts"]
    bundle.save()
    done = bundle.call("create", "--bundle", str(bundle.directory), "--console-socket", str(console.path), bundle.id)
    assert done.code != 0
    assert "/dev/pts" in done.err


def test_run_relays_between_terminals(bundle: Bundle) -> None:
    import pexpect

    from tests.conformance.harness import RUNTIME

    bundle.process["terminal"] = True
    bundle.shell("stty size; read x; echo got $x; exit 4")
    bundle.save()
    words = f"{RUNTIME} --root {bundle.state_root} run --bundle {bundle.directory} {bundle.id}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    child = pexpect.spawn("/bin/sh", ["-c", f"exec {words}"], env=environment, dimensions=(44, 111), timeout=10)
    child.expect("44 111")
    child.sendline("through")
    child.expect("got through")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 4
