"""A real `cortend` on a private root, socket and namespaces, and the fixtures that hand one out.

`engine`: one daemon for the whole session, with the `busybox` image; for tests that leave nothing behind that others would see.
`daemon`: a fresh one for a single test, which may kill it; everything of it is killed and removed afterwards.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.errors import Unavailable
from corten.http.address import parse_address
from corten.http.client import Answer, Client
from tests.support.images import busybox_tar
from tests.support.processes import MARK, kill_marked

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""How much slower than usual this machine is: an emulated one needs 10."""
START_SECONDS = 20.0 * PATIENCE
STOP_SECONDS = 15.0 * PATIENCE
IMAGE = "busybox:latest"


class Daemon:
    """`start` and `kill` may alternate: the namespaces and the data stay."""

    def __init__(self, name: str, *flags: str) -> None:
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix="corten-test-"))
        self.socket = self.root / "corten.sock"
        self.data_root = self.root / "data"
        self.exec_root = self.root / "run"
        self.log = self.root / "daemon.log"
        self.flags = flags
        self.prefix: tuple[str, ...] = ()
        """A program, with arguments, that starts the daemon's command."""
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def namespace_pid(self) -> int:
        """A process that holds the daemon's network and mount namespaces, whether the daemon runs or not."""
        assert self._keeper is not None
        return self._keeper.pid

    def start(self) -> None:
        """Returns when the API answers. Fails with the daemon's log."""
        if self._keeper is None:
            self._keeper = self._launch("sleep", "infinity")
            _await_namespaces(self._keeper.pid)
        command = [sys.executable, "-m", "corten.daemon", "-H", self.host, "--data-root", str(self.data_root)]
        command += ["--exec-root", str(self.exec_root), "--pidfile", str(self.root / "cortend.pid"), *self.flags]
        self._process = self._launch("--join", str(self.namespace_pid), *self.prefix, *command)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"cortend did not start:\n{self.log.read_text()[-4000:]}", pytrace=False)
            time.sleep(0.01)

    def _launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, MARK: self.name, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "tests.support.isolated", *arguments]
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            return self.call("GET", "/_ping").status == 200
        except (OSError, Unavailable):
            return False

    def stop(self) -> None:
        """Asks it to end, as a service manager would."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9` of the daemon alone: its containers, launcher and monitors go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def client(self) -> Client:
        return Client(parse_address(self.host), timeout=60)

    def call(self, method: str, target: str, body: Any = None) -> "Called":
        """One request on a connection of its own. `body` is bytes (a tar) or a value sent as JSON."""
        return call(self.client(), method, target, body)

    def remove(self) -> None:
        """Ends every process of this daemon, kept containers too, and removes its files. Nothing may stay behind."""
        kill_marked(self.name)
        for process in (self._process, self._keeper):
            if process is not None:
                process.wait(STOP_SECONDS)
        shutil.rmtree(self.root)


class Called:
    """An answer that has been read."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self) -> Any:
        """The JSON value, or None; an error status fails the test with its message."""
        assert self.status < 300, f"{self.status}: {self.body.decode(errors='replace')}"
        return self.json() if self.body.strip() and "json" in self.headers.get("content-type", "") else None


def call(client: Client, method: str, target: str, body: Any = None) -> Called:
    with client:
        if body is None or isinstance(body, bytes):
            headers = [("Content-Type", "application/x-tar")] if body else []
            return Called(client.request(method, target, headers=headers, body=body))
        return Called(client.request(method, target, headers=[("Content-Type", "application/json")], body=json.dumps(body).encode()))


def run_name(node_id: str) -> str:
    """A name made of the test's id: readable, unique, short enough for a host name."""
    words = re.sub(r"[^a-z0-9]+", "-", node_id.rpartition("::")[2].lower()).strip("-")[:40]
    return f"{words}-{zlib.crc32(node_id.encode()):08x}-{os.getpid()}"


def import_busybox(daemon: Daemon) -> None:
    target = "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=" + "CMD%20%5B%22sh%22%5D"
    daemon.call("POST", target, busybox_tar()).ok()


def _await_namespaces(pid: int) -> None:
    """Until the keeper has left this process's namespaces and become `sleep`."""
    deadline = time.monotonic() + START_SECONDS
    while b"sleep" not in Path(f"/proc/{pid}/comm").read_bytes():
        assert time.monotonic() < deadline, "no namespaces for the daemon"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def engine() -> Iterator[Daemon]:
    daemon = Daemon(run_name("session"))
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
        daemon.stop()
    finally:
        daemon.remove()


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Flags for it: `@pytest.mark.parametrize("daemon", [["--debug"]], indirect=True)`."""
    daemon = Daemon(run_name(request.node.nodeid), *getattr(request, "param", ()))
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A container or image name that belongs to this test."""
    return run_name(request.node.nodeid)
