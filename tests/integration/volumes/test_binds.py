"""Binds beyond directories: sockets, files, propagation, read-only trees."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


def test_a_socket(docker_cli: DockerCli, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        done = docker_cli("run", "--rm", "-v", f"{tmp_path}/s:/run/s", "busybox", "stat", "-c", "%F", "/run/s", check=True)
    assert done.stdout == "socket\n"


def test_a_file_is_the_same_file(docker_cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("1")
    docker_cli("run", "--rm", "-v", f"{tmp_path}/f:/etc/passwd", "busybox", "sh", "-c", "echo 2 > /etc/passwd", check=True)
    assert (tmp_path / "f").read_text() == "2\n"


def in_daemon(engine: Daemon, *command: str) -> None:
    subprocess.run(["nsenter", "-m", "-t", str(engine.namespace_pid), *command], check=True)


@pytest.fixture
def tree(engine: Daemon, tmp_path: Path) -> Path:
    """A directory with a tmpfs mounted in it, where the daemon lives; shared with its peers."""
    (tmp_path / "inner").mkdir()
    in_daemon(engine, "mount", "--bind", str(tmp_path), str(tmp_path))
    in_daemon(engine, "mount", "--make-shared", str(tmp_path))
    in_daemon(engine, "mount", "-t", "tmpfs", "inner", str(tmp_path / "inner"))
    return tmp_path


@pytest.fixture(autouse=True)
def unmounted(engine: Daemon, tmp_path: Path) -> Iterator[None]:
    yield
    command = ["nsenter", "-m", "-t", str(engine.namespace_pid), "umount", "-R", str(tmp_path)]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


WRITE = "touch /t/outer; touch /t/inner/x; grep -c ' /t/inner ' /proc/mounts; true"


@pytest.mark.parametrize(
    ("options", "refused", "inner"),
    [
        ("", 0, "1"),
        (",bind-recursive=disabled", 0, "0"),
        (",readonly", 2, "1"),
        (",readonly,bind-recursive=writable", 1, "1"),
        (",readonly,bind-recursive=readonly,bind-propagation=rprivate", 2, "1"),
    ],
)
def test_what_is_mounted_below(docker_cli: DockerCli, tree: Path, options: str, refused: int, inner: str) -> None:
    done = docker_cli("run", "--rm", "--mount", f"type=bind,source={tree},target=/t{options}", "busybox", "sh", "-c", WRITE, check=True)
    assert done.stderr.count("Read-only file system") == refused, done.stderr
    assert done.stdout == f"{inner}\n"


@pytest.mark.parametrize(("mode", "arrives"), [("rslave", True), ("rshared", True), ("rprivate", False)])
def test_a_later_mount_of_the_host(engine: Daemon, docker_cli: DockerCli, tree: Path, name: str, mode: str, arrives: bool) -> None:
    (tree / "late").mkdir()
    docker_cli("run", "-d", "--name", name, "-v", f"{tree}:/t:{mode}", "busybox", "sleep", "1000", check=True)
    try:
        in_daemon(engine, "mount", "-t", "tmpfs", "late", str(tree / "late"))
        found = docker_cli("exec", name, "grep", "-c", " /t/late ", "/proc/mounts").stdout
    finally:
        docker_cli("rm", "-f", name)
    assert found == ("1\n" if arrives else "0\n")
