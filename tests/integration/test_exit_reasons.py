"""`corten why`: real OOM kills, faults, stops and starts that fail, each with its cause; also after `--rm`."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def corten(engine: Daemon) -> Cli:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "corten.cli.main", "-H", engine.host, *words], capture_output=True, text=True, check=False
        )

    return run


EAT = "x=x; while true; do x=$x$x; done"
CASES = {
    "limit": (["--memory", "24m", "--memory-swap", "24m", "busybox", "sh", "-c", EAT], "oom-container", "limit of 24 MiB"),
    "fault": (["busybox", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"], "signal", "SIGSEGV"),
    "sigbus": (["--shm-size", "1m", "busybox", "sh", "-c", "sh -c 'kill -BUS $$'; exit $?"], "shm-full", "/dev/shm (1 MiB)"),
    "missing program": (["busybox", "nosuch"], "missing-program", 'exec: "nosuch": executable file not found'),
    "not executable": (["busybox", "/etc/passwd"], "not-executable", "permission denied"),
    "failed": (["busybox", "sh", "-c", "echo the last words >&2; exit 9"], "failed", "the last words"),
    "finished": (["busybox", "true"], "finished", "status 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_reason_of_an_end(corten: Cli, name: str, case: str) -> None:
    words, code, part = CASES[case]
    corten("run", "--name", name, *words)
    told = json.loads(corten("why", "--format", "json", name).stdout)
    assert (told["Reason"], told["Name"]) == (code, name)
    assert part in told["Cause"]
    text = corten("why", name).stdout
    assert told["Cause"] in text
    assert (told["Action"] or name) in text
    corten("rm", name)


def test_inspect_has_it_too(corten: Cli, name: str) -> None:
    corten("run", "--name", name, *CASES["limit"][0])
    found = json.loads(corten("inspect", name).stdout)[0]
    assert found["Corten"]["ExitReason"]["Reason"] == "oom-container"
    corten("rm", name)


def test_a_removed_container_is_remembered(corten: Cli, name: str) -> None:
    assert corten("run", "--rm", "--name", name, *CASES["limit"][0]).returncode == 137
    told = json.loads(corten("why", "--format", "json", name).stdout)
    assert (told["Status"], told["ExitCode"], told["Reason"]) == ("removed", 137, "oom-container")
    assert told["Cause"].startswith("the container reached its memory limit of 24 MiB and the kernel killed sh (pid ")


def test_a_stop_that_took_too_long(corten: Cli, name: str) -> None:
    corten("run", "-d", "--name", name, "busybox", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    corten("stop", "-t", "1", name)
    assert "had not ended in time after SIGTERM" in corten("why", name).stdout
    corten("rm", name)


def test_what_is_not_known(corten: Cli) -> None:
    done = corten("why", "nosuch", "also-not")
    assert done.returncode == 1
    assert done.stderr.count("No such container: ") == 2
    assert corten("why", "--format", "yaml", "x").returncode != 0
    assert corten("why").returncode != 0
