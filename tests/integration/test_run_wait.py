"""`corten run --wait`: returns when the container is healthy or a published port answers; tells of one that dies, is unhealthy or late."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
CHECKED = ["--health-interval", "100ms", "--health-retries", "2", "--health-cmd"]


@pytest.fixture
def corten(engine: Daemon, name: str) -> Iterator[Cli]:
    """`corten run --wait` in the engine's network namespace, where its ports are."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        inside = ["nsenter", "-t", str(engine.namespace_pid), "-n", sys.executable, "-m", "corten.cli.main", "-H", engine.host]
        command = [*inside, "run", "--wait", "--name", name, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    yield run
    engine.call("DELETE", f"/containers/{name}?force=1")


def state(engine: Daemon, name: str) -> str:
    found: str = engine.call("GET", f"/containers/{name}/json").ok()["State"]["Status"]
    return found


def test_returns_when_it_is_healthy(engine: Daemon, corten: Cli, name: str) -> None:
    done = corten(*CHECKED, "test -e /tmp/ready", "--health-retries", "50", IMAGE, "sh", "-c", "sleep 1; touch /tmp/ready; sleep 1000")
    found = engine.call("GET", f"/containers/{name}/json").ok()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{found['Id']}\n", "")
    assert found["State"]["Health"]["Status"] == "healthy"


def test_returns_when_a_published_port_answers(corten: Cli) -> None:
    began = time.monotonic()
    done = corten("-p", "127.0.0.1:18080:80", IMAGE, "sh", "-c", "sleep 2; httpd -f -p 80")
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began > 2


def test_returns_at_once_when_there_is_nothing_to_wait_for(engine: Daemon, corten: Cli, name: str) -> None:
    assert corten(IMAGE, "sleep", "1000").returncode == 0
    assert state(engine, name) == "running"


def test_an_unhealthy_one_is_a_failure_and_runs_on(engine: Daemon, corten: Cli, name: str) -> None:
    done = corten(*CHECKED, "echo no database; exit 1", IMAGE, "sleep", "1000")
    assert done.returncode == 1
    assert "is unhealthy: no database" in done.stderr
    assert state(engine, name) == "running"


@pytest.mark.parametrize(("removed", "status", "told"), [([], 3, 3), (["--rm"], 3, 3), ([], 0, 1)])
def test_one_that_dies_gives_its_status(corten: Cli, removed: list[str], status: int, told: int) -> None:
    done = corten(*removed, *CHECKED, "false", IMAGE, "sh", "-c", f"exit {status}")
    assert done.returncode == told
    assert f"ended with status {status} before it was ready" in done.stderr


def test_the_time_it_may_take(engine: Daemon, corten: Cli, name: str) -> None:
    done = corten("--wait-timeout", "500ms", "-p", "127.0.0.1:18081:80", IMAGE, "sleep", "1000")
    assert done.returncode == 1
    assert "is not ready after 0.5s: nothing answers on 127.0.0.1:18081" in done.stderr
    assert state(engine, name) == "running"


def test_what_does_not_go_together(corten: Cli) -> None:
    assert "cannot specify both --attach and --wait" in corten("-a", "stdout", IMAGE).stderr
