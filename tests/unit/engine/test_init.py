"""The init program of this machine, started as an ordinary process: status, signals, how it finds the program."""

import os
import platform
import signal
import subprocess
from pathlib import Path

import pytest

from corten.engine.init import ARCHITECTURES, install_init


@pytest.fixture
def init(tmp_path: Path) -> str:
    return install_init(str(tmp_path), platform.machine())


def ended(init: str, *args: str, path: str = os.defpath) -> tuple[int, str]:
    done = subprocess.run([init, *args], check=False, capture_output=True, text=True, env={"PATH": path}, timeout=10)
    return done.returncode, done.stderr


def test_every_architecture_has_one(tmp_path: Path) -> None:
    for machine in ARCHITECTURES:
        folder = tmp_path / machine
        folder.mkdir()
        program = Path(install_init(str(folder), machine))
        assert program.read_bytes().startswith(b"\x7fELF")
        assert program.stat().st_mode & 0o777 == 0o755
        assert program.stat().st_size < 4096
    assert install_init(str(tmp_path), "riscv64") == ""


def test_it_is_written_once(init: str) -> None:
    before = os.stat(init).st_ino
    assert install_init(os.path.dirname(init), platform.machine()) == init
    assert os.stat(init).st_ino == before
    Path(init).write_bytes(b"broken")
    install_init(os.path.dirname(init), platform.machine())
    assert Path(init).read_bytes().startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["--", "sh", "-c", "exit 3"], 3),
        (["true"], 0),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["--", "/bin/sh", "-c", "exit 255"], 255),
    ],
)
def test_the_programs_status_is_its_own(init: str, args: list[str], status: int) -> None:
    assert ended(init, *args) == (status, "")


def test_what_cannot_be_executed(init: str, tmp_path: Path) -> None:
    assert ended(init, "--", "no-such-program") == (127, "docker-init: exec no-such-program: No such file or directory\n")
    assert ended(init, "--", "/no/such") == (127, "docker-init: exec /no/such: No such file or directory\n")
    (tmp_path / "data").write_text("x")
    assert ended(init, "data", path=f"/nowhere:{tmp_path}:/bin") == (126, "docker-init: exec data: Permission denied\n")
    assert ended(init) == (1, "docker-init: no program given\n")


def test_signals_reach_the_program(init: str) -> None:
    script = 'trap "echo got; exit 9" USR1; echo ready; while :; do sleep 0.01; done'
    with subprocess.Popen([init, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "got\n"
        assert process.wait(5) == 9


def test_an_untouched_signal_ends_the_program(init: str) -> None:
    with subprocess.Popen([init, "--", "sh", "-c", "echo ready; exec sleep 10"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 128 + signal.SIGTERM
