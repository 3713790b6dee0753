"""A demo's surroundings: a private engine that is gone afterwards, and commands shown as a reader would type them."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
GREY, BOLD, PLAIN = ("\033[2m", "\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Stage:
    """Runs commands against one engine. `say` narrates, `do` shows a command and its output."""

    def __init__(self, host: str) -> None:
        self.environment = {**os.environ, "DOCKER_HOST": host, "CORTEN_HOST": host, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        self.environment.pop("DOCKER_CONTEXT", None)

    def say(self, text: str) -> None:
        print(f"\n{GREY}# {text}{PLAIN}", flush=True)

    def do(self, command: str, *, shown: str | None = None, quiet: bool = False) -> str:
        """Runs a shell command; its output is printed as it comes, and returned. A failure ends the demo."""
        print(f"{BOLD}$ {shown or command}{PLAIN}", flush=True)
        process = subprocess.Popen(
            ["sh", "-c", command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if not quiet:
                print(line, end="", flush=True)
        if process.wait() != 0:
            if quiet:
                print("".join(lines[-30:]))
            raise SystemExit(f"the command failed with status {process.returncode}")
        return "".join(lines)

    def ask(self, *arguments: str) -> str:
        """A command that is not shown; what it printed."""
        return subprocess.run(arguments, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def private_engine() -> Iterator[Stage]:
    """A `cortend` on a socket and folders of its own. On leaving, everything it made is removed."""
    root = Path(tempfile.mkdtemp(prefix="corten-demo-"))
    host = f"unix://{root}/corten.sock"
    command = [str(BIN / "cortend"), "-H", host, "--data-root", f"{root}/data", "--exec-root", f"{root}/run"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _await_socket(root, process)
        yield Stage(host)
    except BaseException:
        print(f"\nthe engine's log:\n{(root / 'log').read_text()[-3000:]}", file=sys.stderr)
        raise
    finally:
        _clear(root, process)


def _await_socket(root: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not (root / "corten.sock").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("cortend did not start")
        time.sleep(0.02)


def _clear(root: Path, process: subprocess.Popen[bytes]) -> None:
    stage = Stage(f"unix://{root}/corten.sock")
    with contextlib.suppress(subprocess.CalledProcessError):
        for name in stage.ask(str(BIN / "corten"), "ps", "-aq").split():
            stage.ask(str(BIN / "corten"), "rm", "-f", name)
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    for pid in _processes_of(str(root)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(root, ignore_errors=True)


def _processes_of(mark: str) -> list[int]:
    """The launcher and monitors below `mark`: they outlive the daemon on purpose."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if mark in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(entry.name))
    return found


def quoted(path: Path) -> str:
    return shlex.quote(str(path))
