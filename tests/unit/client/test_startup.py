"""The daemon on demand, with a script in the daemon's place."""

import os
import sys
import time
from pathlib import Path

import pytest

from corten.client.errors import CannotConnect
from corten.client.startup import daemon_command, start_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the daemon")


def started(folder: Path, code: str, *, patience: float = 10) -> None:
    command = [sys.executable, "-c", code.replace("MARK", str(folder / "up"))]
    start_daemon(str(folder / "x.sock"), answers=(folder / "up").exists, command=command, patience=patience)


def test_returns_when_it_answers_and_leaves_it_alone(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; print('hello', flush=True); "
        "open('MARK', 'w').write(f'{os.getpid()} {os.getsid(0)} {os.getcwd()}'); time.sleep(30)"
    )
    here = os.getcwd()
    started(tmp_path, code)
    time.sleep(0.05)
    pid, session, folder = (tmp_path / "up").read_text().split()
    os.kill(int(pid), 9)
    os.waitpid(int(pid), 0)
    assert (session, folder, os.getcwd()) == (pid, "/", here)
    assert (tmp_path / "cortend.log").read_text() == "hello\n"


def test_one_that_answers_already_is_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "up").touch()
    started(tmp_path, "raise SystemExit(1)")
    assert not (tmp_path / "cortend.log").exists()


def test_last_words_of_one_that_fails(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect, match="cortend could not start: no overlay here\nHint: its whole output is in"):
        started(tmp_path, "raise SystemExit('no overlay here')")


def test_one_that_stays_silent(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect, match="does not answer after 0 s"):
        started(tmp_path, "import time; time.sleep(0.3)", patience=0.1)


def test_command_is_the_installed_program() -> None:
    assert daemon_command()[0] == os.path.join(os.path.dirname(sys.executable), "cortend")
