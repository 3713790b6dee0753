"""examples/chromadb as its README types it, with the stock CLI: a real Chroma server, found by name and by its published port."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.network_world import INSIDE, INSIDE6, World, outside_host
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.privileged, pytest.mark.slow, pytest.mark.timeout(900)]
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "chromadb"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-demo"
Shell = Callable[[str], str]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The example with the wheels beside it, for the daemon's namespace has no way out."""
    wheels = CACHE / "chroma-wheels"
    if not (wheels / ".complete").exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
        subprocess.run([*pip, "--dest", str(wheels), "-r", str(EXAMPLE / "requirements.txt")], check=True)
        (wheels / ".complete").touch()
    folder = tmp_path / "chromadb"
    shutil.copytree(EXAMPLE, folder)
    shutil.copytree(wheels, folder / "wheels")
    return folder


@pytest.fixture
def shell(daemon: Daemon, context: Path) -> Shell:
    """Runs a line in the example's folder and the daemon's network namespace."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Without BuildKit's protocol the stock CLI needs to be told.
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "PATH": programs, "DOCKER_BUILDKIT": "0"}

    def run(line: str) -> str:
        command = ["nsenter", f"--net=/proc/{daemon.namespace_pid}/ns/net", "sh", "-c", line]
        done = subprocess.run(command, env=environment, cwd=context, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}{daemon.log.read_text()[-2000:]}"
        return done.stdout.strip()

    return run


def typed() -> list[tuple[str, str]]:
    """(line, what it prints where the README shows it)."""
    (session,) = re.findall(r"```console\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    return [(line, shown.strip()) for line, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, re.MULTILINE)]


def offline(shell: Shell, line: str) -> str:
    """Where packages would be fetched, what is already here is taken."""
    if line.startswith("corten image bootstrap"):
        kept = CACHE / "base-python3-pip.tar"
        if kept.exists():
            return shell(f"corten load -q -i {shlex.quote(str(kept))}")
        own = subprocess.run(  # beside the namespace: Debian's archives are outside
            ["sh", "-c", line],
            env={**os.environ, "DOCKER_HOST": shell("echo $DOCKER_HOST"), "PATH": shell("echo $PATH")},
            capture_output=True,
            text=True,
            check=True,
        )
        shell(f"corten save -o {shlex.quote(str(kept))} debian:bookworm-slim")
        return own.stdout
    if line.endswith("chroma:latest ."):
        line = line.removesuffix(".") + "--build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/context/wheels ."
    return shell(line)


def test_the_example_as_typed(daemon: Daemon, shell: Shell, tmp_path: Path) -> None:
    for line, shown in typed():
        said = offline(shell, line)
        assert not shown or said == shown, line
    world = World(daemon, tmp_path)
    for address in ("localhost", "127.0.0.1", "[::1]", world.address("chromadb", "ml-network")):
        assert shell(f"curl -sSg http://{address}:8000/api/v2/heartbeat").startswith('{"nanosecond heartbeat":'), address
    with outside_host(daemon) as neighbour:
        for address in (INSIDE, f"[{INSIDE6}]"):
            command = ["nsenter", f"--net=/proc/{neighbour.pid}/ns/net", "curl", "-sSg", f"http://{address}:8000/api/v2/version"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == '"1.0.0"', address
    before = world.address("chromadb", "ml-network")
    shell("docker stop chromadb")
    shell("docker run -d --network ml-network --name other myapp:v1 sleep 600")
    shell("docker start chromadb")
    assert world.address("chromadb", "ml-network") != before, "its old address is another's"
    assert shell("docker start -a app") == "nearest: a cat sleeps", "the name leads to the new address, the data stayed"
    shell("docker rm -f app chromadb other")
    shell("docker network rm ml-network")
