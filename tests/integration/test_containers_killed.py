"""Launcher and monitors killed under load, and a disk that is full, as clients of the API see it."""

import os
import random
import re
import subprocess
import threading
import time
from typing import Any

import pytest

from corten.http.client import Upgraded
from tests.support.daemon import IMAGE, Daemon, import_busybox
from tests.support.processes import command_line, kill, marked
from tests.unit.store.tarballs import Member, tarball
from tests.unit.store.test_archive import archive, docker_archive

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(120)]
LINES = 60_000
SEED = int(os.environ.get("TEST_SEED") or time.time_ns() % 100_000)
PRINTING = f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo $i; done; exit 23"


def start(daemon: Daemon, name: str, script: str, **more: Any) -> None:
    daemon.call("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["sh", "-c", script], **more}).ok()
    daemon.call("POST", f"/containers/{name}/start").ok()


def ended(daemon: Daemon, name: str) -> int:
    """The exit status, by a wait that lasts until the end."""
    status: int = daemon.call("POST", f"/containers/{name}/wait").ok()["StatusCode"]
    return status


def victims(daemon: Daemon, kinds: tuple[str, ...]) -> set[int]:
    return {pid for pid in marked(daemon.name) if command_line(pid).startswith(kinds)}


def logged(daemon: Daemon, name: str) -> list[str]:
    body = daemon.call("GET", f"/containers/{name}/logs?stdout=1").body
    text = b""
    while body:
        size = int.from_bytes(body[4:8], "big")
        text, body = text + body[8 : 8 + size], body[8 + size :]
    return text.decode().splitlines()


@pytest.mark.parametrize("kinds", [("corten-launcher",), ("corten-monitor",)], ids=" and ".join)
def test_nothing_is_lost_when_they_are_killed_under_load(daemon: Daemon, kinds: tuple[str, ...]) -> None:
    """Three containers print as fast as they can; every line is in the log once, in order, and every exit status is told."""
    names = ["one", "two", "three"]
    told: dict[str, int] = {}
    for name in names:
        start(daemon, name, PRINTING)
    waiting = [threading.Thread(target=lambda n=name: told.update({n: ended(daemon, n)})) for name in names]
    for thread in waiting:
        thread.start()
    print(f"TEST_SEED={SEED}")
    moments = random.Random(SEED)
    for _ in range(4):
        time.sleep(moments.uniform(0.02, 0.3))
        kill(victims(daemon, kinds))
    made = daemon.call("POST", f"/containers/{names[0]}/exec", {"Cmd": ["sh", "-c", "exit 7"]})
    for thread in waiting:
        thread.join(60)
    assert told == dict.fromkeys(names, 23)
    for name in names:
        assert logged(daemon, name) == [str(number) for number in range(1, LINES + 1)]
        assert daemon.call("GET", f"/containers/{name}/json").ok()["State"]["ExitCode"] == 23
    assert made.status in (201, 409)


def spoken(daemon: Daemon) -> bytes:
    """What an attached client hears. One that comes while the monitor's death is not yet seen is cut off, and comes again."""
    for _ in range(20):
        stream = daemon.client().upgrade("POST", "/containers/cat/attach?stream=1&stdin=1&stdout=1")
        assert isinstance(stream, Upgraded)
        try:
            stream.send(b"again\n")
            if heard := stream.recv():
                return heard[8:]
        except ConnectionError:
            pass
        finally:
            stream.close()
        time.sleep(0.1)
    return b""


def test_attach_and_exec_work_again(daemon: Daemon) -> None:
    start(daemon, "cat", "cat", OpenStdin=True)
    for kinds in (("corten-monitor",), ("corten-launcher",), ("corten-monitor",)):
        kill(victims(daemon, kinds))
        time.sleep(1)  # the next one may only fall when what fell has been replaced
        assert spoken(daemon) == b"again\n"
        made = daemon.call("POST", "/containers/cat/exec", {"Cmd": ["sh", "-c", "echo out; exit 7"], "AttachStdout": True}).ok()["Id"]
        assert daemon.call("POST", f"/exec/{made}/start", {}).body[8:] == b"out\n"
        assert daemon.call("GET", f"/exec/{made}/json").ok()["ExitCode"] == 7
    assert daemon.call("GET", "/containers/cat/json").ok()["State"]["Running"] is True


def loadable() -> bytes:
    """An image of 8 MB."""
    return archive(docker_archive([tarball([Member("noise", data=random.Random(1).randbytes(8_000_000))])]))


@pytest.fixture
def cramped(daemon: Daemon) -> Daemon:
    """Its data root on a file system of 128 MiB, half of which no layer may take."""
    daemon.stop()
    inside = ["nsenter", "-t", str(daemon.namespace_pid), "-m"]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "size=128m", "none", str(daemon.data_root)], check=True)
    daemon.start()
    import_busybox(daemon)
    return daemon


def test_a_disk_that_a_container_fills(cramped: Daemon) -> None:
    """Container and clients are told, the engine goes on, what the container says then is not lost, and the room comes back."""
    trap = "trap 'rm /big; echo written $written; exit 9' TERM"
    script = f"{trap}; dd if=/dev/zero of=/big bs=64k count=4000; written=$?; while :; do sleep 0.1; done"
    start(cramped, "writer", script)
    deadline = time.monotonic() + 20
    while not re.search(r" (99|100)% ", shown := executed(cramped, "writer", "df /")):
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)
    refused = cramped.call("POST", "/images/load", loadable())
    assert "no space left" in refused.body.decode().lower()
    assert [image["RepoTags"] for image in cramped.call("GET", "/images/json").ok()] == [[IMAGE]]
    assert cramped.call("GET", "/containers/writer/json").ok()["State"]["Running"] is True
    cramped.call("POST", "/containers/writer/stop").ok()
    assert ended(cramped, "writer") == 9
    assert logged(cramped, "writer") == ["written 1"]
    cramped.call("DELETE", "/containers/writer").ok()
    assert "Loaded image" in cramped.call("POST", "/images/load", loadable()).body.decode()


def executed(daemon: Daemon, name: str, script: str) -> str:
    made = daemon.call("POST", f"/containers/{name}/exec", {"Cmd": ["sh", "-c", script], "AttachStdout": True, "Tty": True}).ok()["Id"]
    return daemon.call("POST", f"/exec/{made}/start", {"Tty": True}).body.decode()
