"""Our CLI on a terminal: a shell in a container, window sizes, detaching, signals, streams that are closed one side at a time.

On our engine (privileged), and with `--reference unix:///…` on a real Docker.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.daemon import call, run_name
from tests.support.images import busybox_tar

IMAGE = "corten-cli-terminal"
PROMPT = "/ #"
DETACH = "\x10\x11"


class Terminal:
    """`corten` on one engine, in a pty or with plain pipes."""

    def __init__(self, host: str, name: str, home: Path) -> None:
        self.name = name
        self._code = ["-c", "import sys; from corten.cli.main import main; sys.exit(main())"]
        self.environment = {
            "CORTEN_HOST": host,
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "TERM": "dumb",
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }

    def spawn(self, *arguments: str) -> "pexpect.spawn[str]":
        return pexpect.spawn(
            sys.executable, [*self._code, *arguments], env=self.environment, encoding="utf-8", dimensions=(30, 101), timeout=20
        )

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, *self._code, *arguments]
        return subprocess.run(command, env=self.environment, input=stdin, capture_output=True, timeout=60, check=False)

    def begin(self, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, *self._code, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.fixture(scope="module", params=["reference", pytest.param("corten", marks=pytest.mark.privileged)])
def host(request: pytest.FixtureRequest) -> Iterator[str]:
    from corten.http.address import parse_address
    from corten.http.client import Client

    found: str = request.getfixturevalue("engine").host if request.param == "corten" else request.getfixturevalue("reference_host")
    target = f"/images/create?fromSrc=-&repo={IMAGE}&tag=latest&changes=CMD%20%5B%22sh%22%5D&changes=ENV%20PATH%3D/bin"
    call(Client(parse_address(found)), "POST", target, busybox_tar())
    yield found
    call(Client(parse_address(found)), "DELETE", f"/images/{IMAGE}?force=1")


@pytest.fixture
def cli(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(host, run_name(request.node.nodeid), tmp_path)
    yield terminal
    terminal.run("rm", "-f", terminal.name)


def ends(child: "pexpect.spawn[str]") -> int:
    """Waits for the end; the exit status."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None, f"ended by signal {child.signalstatus}"
    return int(child.exitstatus)


def test_shell_sees_the_window_and_its_exit_status_is_ours(cli: Terminal) -> None:
    child = cli.spawn("run", "-it", "--rm", "--name", cli.name, IMAGE, "sh")
    child.expect(PROMPT)
    child.sendline("stty size")
    child.expect("30 101")
    child.setwinsize(40, 90)
    time.sleep(0.3)
    child.sendline("stty size")
    child.expect("40 90")
    child.sendline("exit 7")
    assert ends(child) == 7


def test_keys_go_to_the_container_raw(cli: Terminal) -> None:
    child = cli.spawn(
        "run", "-it", "--rm", "--name", cli.name, IMAGE, "sh", "-c", "trap 'echo caught' INT; echo ready; sleep 1; sleep 1; exit 4"
    )
    child.expect("ready")
    child.sendintr()
    child.expect("caught")
    assert ends(child) == 4


def test_detaching_leaves_the_container_running_and_attaching_finds_it(cli: Terminal) -> None:
    child = cli.spawn("run", "-it", "--name", cli.name, IMAGE, "sh")
    child.expect(PROMPT)
    child.send(DETACH)
    assert ends(child) == 0
    assert cli.run("ps", "-q", "--filter", f"name={cli.name}").stdout
    child = cli.spawn("attach", "--detach-keys", "ctrl-a,b", cli.name)
    child.sendline("echo he''re")
    child.expect("here")
    child.send("\x01b")
    child.expect("read escape sequence")
    assert ends(child) == 1
    child = cli.spawn("attach", cli.name)
    child.sendline("exit 3")
    assert ends(child) == 3


def test_exec_has_a_terminal_of_its_own(cli: Terminal) -> None:
    cli.run("run", "-d", "--name", cli.name, IMAGE, "sleep", "100")
    child = cli.spawn("exec", "-it", cli.name, "sh")
    child.expect(PROMPT)
    child.sendline("stty size; exit 5")
    child.expect("30 101")
    assert ends(child) == 5


def test_start_attached_runs_again(cli: Terminal) -> None:
    cli.run("create", "-it", "--name", cli.name, IMAGE, "sh")
    for status in (2, 3):
        child = cli.spawn("start", "-ai", cli.name)
        child.expect(PROMPT)
        child.sendline(f"exit {status}")
        assert ends(child) == status


def test_terminal_is_as_before_when_we_are_done(cli: Terminal) -> None:
    command = " ".join(["run", "-it", "--rm", "--name", cli.name, IMAGE, "true"])
    code = "import sys; from corten.cli.main import main; sys.exit(main())"
    script = f"stty -g; {sys.executable} -c '{code}' {command}; stty -g"
    child = pexpect.spawn("sh", ["-c", script], env=cli.environment, encoding="utf-8", timeout=20)
    child.expect(pexpect.EOF)
    before, after = str(child.before).split()
    assert before == after


def test_half_closed_input_and_all_output(cli: Terminal) -> None:
    data = os.urandom(3_000_000)
    done = cli.run("run", "-i", "--rm", "--name", cli.name, IMAGE, "sh", "-c", "cat; echo end >&2; exit 6", stdin=data)
    assert (done.returncode, done.stdout == data, done.stderr) == (6, True, b"end\n")


def test_signals_are_the_containers(cli: Terminal) -> None:
    process = cli.begin(
        "run", "--name", cli.name, IMAGE, "sh", "-c", "trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (b"term\n", 9)


def test_three_interrupts_end_us(cli: Terminal) -> None:
    process = cli.begin("run", "--name", cli.name, IMAGE, "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"got 3 SIGTERM/SIGINTs, forcefully exiting" in err


def test_reader_that_goes_away_ends_us_by_sigpipe(cli: Terminal) -> None:
    process = cli.begin("run", "--rm", "--name", cli.name, IMAGE, "sh", "-c", "yes")
    assert process.stdout is not None
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGPIPE


def test_follow_of_logs_ends_with_the_container(cli: Terminal) -> None:
    cli.run("run", "-d", "--name", cli.name, IMAGE, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert cli.run("logs", "-f", cli.name).stdout == b"1\n2\n3\n"
