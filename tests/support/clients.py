"""Strangers' clients, pointed at a daemon under test: the stock docker CLI and docker-py."""

import gc
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support.daemon import IMAGE, Daemon

GOLDEN_VERSION = 28
PLUGINS = (
    Path(__file__).resolve().parents[2] / ".venv/debian/usr/libexec/docker/cli-plugins",
    Path.home() / ".docker/cli-plugins",
    Path("/usr/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/local/lib/docker/cli-plugins"),
)
"""Where the CLI's plug-ins may be; tools/setup.sh puts them at the first."""


class DockerCli:
    """`cli("run", "--rm", "busybox", "true")` runs `docker run ...` and returns what it did; `check=True` fails on an exit status."""

    def __init__(self, host: str, home: Path) -> None:
        self._environment = {"DOCKER_HOST": host, "HOME": str(home), "PATH": os.environ["PATH"], "DOCKER_CONFIG": str(home)}

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are started otherwise (a pty)."""
        return dict(self._environment)

    def __call__(
        self, *arguments: str, stdin: str | None = None, check: bool = False, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", *arguments], input=stdin, env=self._environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


def buildx_plugin() -> str:
    return str(next(place / "docker-buildx" for place in PLUGINS if (place / "docker-buildx").exists()))


def compose_program() -> str | None:
    """The stock compose, as a plug-in or by itself."""
    found = next((str(place / "docker-compose") for place in PLUGINS if (place / "docker-compose").exists()), None)
    return found or shutil.which("docker-compose")


def two_stages(folder: Path) -> Path:
    """A context of two stages: `base` copies the folder and greets with GREETING, `last` writes /last. `secret` is ignored."""
    folder.mkdir()
    (folder / "file").write_text("content\n")
    (folder / "secret").write_text("not sent\n")
    (folder / ".dockerignore").write_text("secret\n")
    text = f"ARG GREETING=hello\nFROM {IMAGE} AS base\nARG GREETING\nCOPY . /srv/\nRUN echo $GREETING > /greeting\n"
    (folder / "Dockerfile").write_text(f"{text}FROM base AS last\nRUN echo last > /last\n")
    return folder


@pytest.fixture(scope="session")
def docker_program() -> str:
    """The stock CLI: a test that needs it fails without it (tools/setup.sh installs it)."""
    program = shutil.which("docker")
    assert program, "no docker CLI in PATH"
    return program


@pytest.fixture(scope="session")
def golden_docker_program(docker_program: str) -> str:
    """The stock CLI whose words ours has: 28. Debian's packages are older (12 has 20.10, 13 has 26.1) and say many things otherwise."""
    shown = subprocess.run([docker_program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.", shown)
    assert found, f"no version in {shown!r}"
    if int(found[1]) < GOLDEN_VERSION:
        pytest.skip(f"compares with the words of docker CLI {GOLDEN_VERSION}; this one is {found[1]}")
    return docker_program


@pytest.fixture
def docker_cli(engine: Daemon, docker_program: str, tmp_path: Path) -> DockerCli:
    return DockerCli(engine.host, tmp_path)


@pytest.fixture
def docker_py(engine: Daemon) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=engine.host)
    yield client
    client.close()
    # docker-py leaves the sockets that it has taken over to the garbage collector: here and now, before they count against another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
