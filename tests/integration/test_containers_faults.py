"""`kill -9` of the daemon while it works on containers: nothing is lost, what runs runs on, nothing stays behind."""

import hashlib
import io
import json
import os
import random
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from corten.errors import Unavailable
from corten.http.client import ProtocolError, Upgraded
from tests.support.daemon import IMAGE, Daemon
from tests.support.images import add
from tests.support.leaks import settled_holdings, wait_until_settled
from tests.support.processes import command_line, kill, marked

pytestmark = pytest.mark.privileged
MOMENTS = 30
SEED = int(os.environ.get("TEST_SEED") or time.time_ns() % 100_000)
COUNTING = "mkfifo /tmp/f; exec 3<>/tmp/f; i=0; while true; do echo $i; i=$((i+1)); read -t 0.01 x <&3; done"
"""Counts without forking: a process that is just going has no command line and reads like a leak."""


@dataclass
class Worker:
    """One client that creates, starts, runs an exec in, stops and removes one container after another, over every daemon there is.

    `sure` is what it was told: the last answered step of each container, by name."""

    daemon: Daemon
    number: int
    random: random.Random
    sure: dict[str, str] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        count = 0
        while not self.stopped.is_set():
            count += 1
            name = f"w{self.number}-{count}"
            try:
                self.one(name)
            except (OSError, ProtocolError, Unavailable):
                time.sleep(0.05)  # the daemon is away

    def one(self, name: str) -> None:
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": self.random.choice(("none", "bridge"))}}
        if self.ask("POST", f"/containers/create?name={name}", body).get("Id"):
            self.sure[name] = "created"
        self.ask("POST", f"/containers/{name}/start")
        self.sure[name] = "started"
        made = self.ask("POST", f"/containers/{name}/exec", {"Cmd": ["true"]})
        self.ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})
        self.ask("POST", f"/containers/{name}/stop?t=0")
        self.sure[name] = "removing"  # what is under way may be done, answered or not
        self.ask("DELETE", f"/containers/{name}")
        self.sure[name] = "removed"

    def ask(self, method: str, target: str, body: Any = None) -> dict[str, Any]:
        called = self.daemon.call(method, target, body)
        if called.status >= 500:
            self.problems.append(f"{method} {target}: {called.status} {called.body!r}")
        found = called.json() if called.body.strip() else {}
        assert isinstance(found, dict)
        return found


def matches(sure: str, status: str | None) -> bool:
    """Whether a container that was surely brought so far may be found like this (None = it is not there)."""
    return {
        "created": status in ("created", "running"),
        "started": status in ("running", "exited"),
        "removing": status in ("exited", None),
        "removed": status is None,
    }[sure]


def statuses(daemon: Daemon) -> dict[str, str]:
    return {c["Names"][0][1:]: c["State"] for c in daemon.call("GET", "/containers/json?all=1").ok()}


def layer_of(number: int, *, files: int) -> bytes:
    noise = random.Random(number)
    return tar_of({f"d{number}/{n}": noise.randbytes(noise.randrange(1, 20_000)) for n in range(files)})


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    return buffer.getvalue()


def docker_archive(*layers: bytes) -> bytes:
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    names = [f"{n}.tar" for n in range(len(layers))]
    manifest = [{"Config": "c.json", "RepoTags": ["loaded:v1"], "Layers": names}]
    texts = {"manifest.json": json.dumps(manifest).encode(), "c.json": json.dumps(config).encode()}
    return tar_of(texts | dict(zip(names, layers, strict=True)))


LOADED = docker_archive(*(layer_of(number, files=40) for number in range(3)))


@dataclass
class Loader:
    """One client that loads an image of three layers and removes it, again and again. Every second it is sure of is there."""

    daemon: Daemon
    sure: str = "removed"
    loads: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.one()
            except (OSError, ProtocolError, Unavailable):
                time.sleep(0.05)  # the daemon is away

    def one(self) -> None:
        self.sure = "unknown"
        called = self.daemon.call("POST", "/images/load", LOADED)
        if b"Loaded image: loaded:v1" not in called.body:
            self.problems.append(f"load: {called.status} {called.body!r}")
        self.sure = "loaded"
        self.loads += 1
        if self.daemon.call("GET", "/images/loaded:v1/json").status != 200:
            self.problems.append("an image is gone whose load was answered")
        self.sure = "unknown"
        self.daemon.call("DELETE", "/images/loaded:v1?force=1")
        self.sure = "removed"


@contextmanager
def loading(daemon: Daemon) -> Iterator[Loader]:
    """One client loads inside the block."""
    loader = Loader(daemon)
    thread = threading.Thread(target=loader.run, daemon=True)
    thread.start()
    try:
        yield loader
    finally:
        loader.stopped.set()
        thread.join(30)


@contextmanager
def working(daemon: Daemon, first: int) -> Iterator[list[Worker]]:
    """Three clients at work inside the block."""
    workers = [Worker(daemon, first + number, random.Random(SEED + number)) for number in range(3)]
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stopped.set()
        for thread in threads:
            thread.join(30)


def without_monitors(gained: dict[str, list[str]]) -> dict[str, list[str]]:
    """Empty monitors are kept for the next load, one of them for ever and others until containers are given up again."""
    monitors = {line for line in gained.get("processes", ()) if line.startswith("corten-monitor")}
    assert len(monitors) <= 2
    left = {kind: [x for x in texts if "corten-monitor" not in x and "monitors/" not in x] for kind, texts in gained.items()}
    return {kind: texts for kind, texts in left.items() if texts and kind != "descriptors"} if monitors else gained


@pytest.mark.timeout(300)
def test_thirty_kills(daemon: Daemon) -> None:
    keeper = daemon.call("POST", "/containers/create?name=keeper", {"Image": IMAGE, "Cmd": ["sh", "-c", COUNTING]}).ok()["Id"]
    daemon.call("POST", "/containers/keeper/start").ok()
    pid = daemon.call("GET", "/containers/keeper/json").ok()["State"]["Pid"]
    print(f"TEST_SEED={SEED}")
    moments = random.Random(SEED)
    with working(daemon, 0) as workers, loading(daemon) as loader:  # makes as many monitors and spare namespaces as this load needs
        wait_until(lambda: loader.loads > 1 and all(len(worker.sure) > 3 for worker in workers), 60)
    before = settled_holdings(daemon)
    with working(daemon, 10) as workers, loading(daemon) as loader:
        for _ in range(MOMENTS):
            time.sleep(moments.uniform(0.0, 0.4))
            daemon.kill()
            daemon.start()
            state = daemon.call("GET", "/containers/keeper/json").ok()["State"]
            assert (state["Status"], state["Pid"]) == ("running", pid)
    assert not loader.problems
    assert loader.loads > 0
    assert_whole_store(daemon, loader)
    found = statuses(daemon)
    assert found.pop("keeper") == "running"
    for worker in workers:
        assert not worker.problems
        lost = {name: (sure, found.get(name)) for name, sure in worker.sure.items() if not matches(sure, found.get(name))}
        assert not lost
    assert sum(sure == "removed" for worker in workers for sure in worker.sure.values()) > 3
    for name in found:
        daemon.call("DELETE", f"/containers/{name}?force=1").ok()
    gained = without_logs_of_connections(without_monitors(wait_until_settled(daemon, before)))
    assert not gained, f"left behind: {gained}"
    assert_unbroken(daemon, keeper)


def assert_whole_store(daemon: Daemon, loader: Loader) -> None:
    """The image is there or not, as the last answer said; it can be loaded and used again; no work lies half done."""
    there = daemon.call("GET", "/images/loaded:v1/json").status == 200
    assert loader.sure in ("unknown", "loaded" if there else "removed")
    assert b"Loaded image" in daemon.call("POST", "/images/load", LOADED).body
    daemon.call("POST", "/containers/create?name=check", {"Image": "loaded:v1", "Cmd": ["/x"]}).ok()
    daemon.call("DELETE", "/containers/check").ok()
    daemon.call("DELETE", "/images/loaded:v1").ok()
    wait_until(lambda: not any((daemon.data_root / "tmp" / "work").iterdir()), 30)


def assert_unbroken(daemon: Daemon, container_id: str) -> None:
    """The container's output is complete: every number, in order."""
    daemon.call("POST", f"/containers/{container_id}/kill").ok()
    daemon.call("POST", f"/containers/{container_id}/wait").ok()
    numbers: list[int] = []
    folder = daemon.data_root / "containers" / container_id
    for path in sorted(folder.glob(f"{container_id}-json.log*"), reverse=True):
        numbers += [int(json.loads(line)["log"]) for line in path.read_text().splitlines()]
    assert len(numbers) > 100
    assert numbers == list(range(len(numbers)))


def test_streams_go_on_without_the_daemon(daemon: Daemon) -> None:
    """A client that is attached keeps its stream while the daemon is dead."""
    body = {"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    container_id = daemon.call("POST", "/containers/create", body).ok()["Id"]
    stream = daemon.client().upgrade("POST", f"/containers/{container_id}/attach?stream=1&stdin=1&stdout=1")
    assert isinstance(stream, Upgraded)
    daemon.call("POST", f"/containers/{container_id}/start").ok()
    stream.send(b"before\n")
    assert stream.recv()[8:] == b"before\n"
    daemon.kill()
    stream.send(b"while\n")
    assert stream.recv()[8:] == b"while\n"
    daemon.start()
    stream.send(b"after\n")
    assert stream.recv()[8:] == b"after\n"
    stream.half_close()
    assert stream.recv() == b""
    stream.close()
    assert daemon.call("POST", f"/containers/{container_id}/wait").ok()["StatusCode"] == 0


def test_an_exec_outlives_the_daemon(daemon: Daemon) -> None:
    daemon.call("POST", "/containers/create?name=box", {"Image": IMAGE, "Cmd": ["sleep", "1000"]}).ok()
    daemon.call("POST", "/containers/box/start").ok()
    made = daemon.call("POST", "/containers/box/exec", {"Cmd": ["sh", "-c", "sleep 3; exit 7"]}).ok()["Id"]
    daemon.call("POST", f"/exec/{made}/start", {"Detach": True}).ok()
    daemon.kill()
    daemon.start()
    assert daemon.call("GET", f"/exec/{made}/json").ok()["Running"] is True
    wait_until(lambda: daemon.call("GET", f"/exec/{made}/json").ok()["ExitCode"] == 7)


def test_what_ended_while_the_daemon_was_dead(daemon: Daemon) -> None:
    for name, host in (("plain", {}), ("gone", {"AutoRemove": True}), ("again", {"RestartPolicy": {"Name": "always"}})):
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", "sleep 0.3; exit 9"], "HostConfig": host}
        daemon.call("POST", f"/containers/create?name={name}", body).ok()
        daemon.call("POST", f"/containers/{name}/start").ok()
    daemon.kill()
    wait_until(lambda: not any("exit 9" in command_line(pid) for pid in marked(daemon.name)))
    daemon.start()
    state = daemon.call("GET", "/containers/plain/json").ok()["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    assert daemon.call("GET", "/containers/gone/json").status == 404
    wait_until(lambda: daemon.call("GET", "/containers/again/json").ok()["RestartCount"] > 0)


def test_everything_is_killed_at_once(daemon: Daemon) -> None:
    """As after a reboot: no launcher, no monitor, no container; policies start what they demand."""
    for name, policy in (("stays", "no"), ("comes", "always")):
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"RestartPolicy": {"Name": policy}}}
        daemon.call("POST", f"/containers/create?name={name}", body).ok()
        daemon.call("POST", f"/containers/{name}/start").ok()
    keeper = daemon.namespace_pid
    daemon.kill()
    while doomed := marked(daemon.name) - {keeper}:
        kill(doomed)
        time.sleep(0.05)
    daemon.start()
    wait_until(lambda: statuses(daemon) == {"stays": "exited", "comes": "running"})


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("warming", "count"), [(30, 60), pytest.param(150, 1000, marks=pytest.mark.slow)], ids=["sixty", "a thousand"])
def test_many_runs_leave_nothing(daemon: Daemon, warming: int, count: int) -> None:
    with ThreadPoolExecutor(6) as pool:  # every thread and connection that any load wants is there afterwards
        for done in [pool.submit(run_many, daemon, warming // 6) for _ in range(6)]:
            done.result()
    before = settled_holdings(daemon)
    run_many(daemon, count)
    gained = without_logs_of_connections(wait_until_settled(daemon, before))
    assert not gained, f"left behind: {gained}"


def without_logs_of_connections(gained: dict[str, list[str]]) -> dict[str, list[str]]:
    """A connection to the database (one to a thread, still counted by its main file) opens the log at its first use, which may be now."""
    left = [line for line in gained.get("descriptors", ()) if not re.search(r"/corten\.db-wal( #\d+)?$", line)]
    return {kind: lines for kind, lines in {**gained, "descriptors": left}.items() if lines}


def run_many(daemon: Daemon, count: int) -> None:
    with daemon.client() as client:
        for _ in range(count):
            body = b'{"Image":"busybox","Cmd":["true"]}'
            headers = [("Content-Type", "application/json")]
            made = client.request("POST", "/containers/create", headers=headers, body=body).json()["Id"]
            assert client.request("POST", f"/containers/{made}/start").read() == b""
            assert client.request("POST", f"/containers/{made}/wait").json() == {"StatusCode": 0}
            assert client.request("DELETE", f"/containers/{made}").read() == b""
