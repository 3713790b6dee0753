"""`docker cp`, `diff` and `export` through the stock CLI, and archives that want to leave the container, through the API."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.support.images import add

pytestmark = pytest.mark.privileged


@pytest.fixture(params=["running", "stopped", "created"])
def container(request: pytest.FixtureRequest, docker_cli: DockerCli, name: str, tmp_path: Path) -> Iterator[str]:
    """With a volume at /vol, a read-only one at /fixed and a host directory at /host, in three states."""
    (tmp_path / "host").mkdir()
    mounts = ["-v", f"{name}:/vol", "-v", f"{name}:/fixed:ro", "-v", f"{tmp_path}/host:/host"]
    docker_cli("create", "--name", name, *mounts, "busybox", "sleep", "1000", check=True)
    if request.param != "created":
        docker_cli("start", name, check=True)
    if request.param == "stopped":
        docker_cli("kill", name, check=True)
    yield name
    docker_cli("rm", "-f", name)
    docker_cli("volume", "rm", "-f", name)


def tree(folder: Path) -> Path:
    """Files, links, modes and times."""
    (folder / "deep").mkdir(parents=True)
    (folder / "file").write_text("content")
    (folder / "file").chmod(0o4750)
    (folder / "deep" / "empty").touch()
    (folder / "link").symlink_to("deep/empty")
    os.link(folder / "file", folder / "second")
    os.utime(folder / "file", (1_000_000_000, 1_000_000_000))
    return folder


def described(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


@pytest.mark.parametrize("place", ["/tmp", "/vol", "/host"])
def test_a_tree_there_and_back(docker_cli: DockerCli, container: str, tmp_path: Path, place: str) -> None:
    source = tree(tmp_path / "source")
    docker_cli("cp", str(source), f"{container}:{place}", check=True)
    docker_cli("cp", f"{container}:{place}/source", str(tmp_path / "back"), check=True)
    assert described(tmp_path / "back") == described(source)
    assert (tmp_path / "back" / "file").stat().st_mtime == 1_000_000_000
    if place == "/host":
        assert described(tmp_path / "host" / "source") == described(source)


def test_a_file_under_another_name_and_through_standard_streams(docker_cli: DockerCli, container: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    docker_cli("cp", str(tmp_path / "one"), f"{container}:/tmp/two", check=True)
    docker_cli("cp", f"{container}:/tmp/two", str(tmp_path / "three"), check=True)
    assert (tmp_path / "three").read_text() == "1"
    archive = subprocess.run(
        ["docker", "cp", f"{container}:/tmp/two", "-"], env=docker_cli.environment, capture_output=True, check=True
    ).stdout
    subprocess.run(["docker", "cp", "-", f"{container}:/root"], env=docker_cli.environment, input=archive, check=True)
    docker_cli("cp", f"{container}:/root/two", str(tmp_path / "four"), check=True)
    assert (tmp_path / "four").read_text() == "1"


def test_what_cannot_be(docker_cli: DockerCli, container: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    assert f"Could not find the file /nope in container {container}" in docker_cli("cp", f"{container}:/nope", str(tmp_path)).stderr
    assert "mounted volume is marked read-only" in docker_cli("cp", str(tmp_path / "one"), f"{container}:/fixed/x").stderr
    assert docker_cli("cp", str(tmp_path / "one"), f"{container}:/etc/passwd/").returncode == 1
    assert "No such container: nope" in docker_cli("cp", "nope:/x", str(tmp_path)).stderr


def test_a_container_starts_after_files_were_put_in(docker_cli: DockerCli, name: str, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\necho from outside\n")
    (tmp_path / "script").chmod(0o755)
    docker_cli("create", "--rm", "--name", name, "busybox", "/script", check=True)
    docker_cli("cp", str(tmp_path / "script"), f"{name}:/script", check=True)
    assert docker_cli("start", "-a", name, check=True).stdout == "from outside\n"


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """(name, type, content or link) of each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, text in members:
            is_link = kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
            add(tar, name, b"" if is_link else text.encode(), kind=kind, link=text if is_link else "")
    return buffer.getvalue()


def test_archives_that_want_to_leave(engine: Daemon, container: str, tmp_path: Path) -> None:
    """Whatever an archive or a link in the container says, nothing is written outside the container, and nothing of the host is read."""
    victim = tmp_path / "victim"
    victim.mkdir()
    up = "../" * 12
    for members in (
        [(f"{up}{victim}/a", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, str(victim)), ("l/b", tarfile.REGTYPE, "x")],
        [("m", tarfile.SYMTYPE, f"{up}{victim}"), ("m/c", tarfile.REGTYPE, "x")],
        [("h", tarfile.LNKTYPE, f"{up}etc/shadow")],
        [("h", tarfile.LNKTYPE, "/etc/shadow")],
    ):
        engine.call("PUT", f"/containers/{container}/archive?path=/tmp", archive(*members))
    escape = archive(("out", tarfile.SYMTYPE, f"{up}{victim}"))
    engine.call("PUT", f"/containers/{container}/archive?path=/tmp", escape).ok()
    assert engine.call("PUT", f"/containers/{container}/archive?path=/tmp/out", archive(("d", tarfile.REGTYPE, "x"))).status == 404
    assert engine.call("GET", f"/containers/{container}/archive?path=/tmp/out/").status == 404
    assert not list(victim.iterdir())


def test_the_links_of_a_volume_stay_inside_the_container(engine: Daemon, container: str) -> None:
    engine.call("PUT", f"/containers/{container}/archive?path=/vol", archive(("etc", tarfile.SYMTYPE, "../../../../etc"))).ok()
    answer = engine.call("GET", f"/containers/{container}/archive?path=/vol/etc/passwd")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        assert tar.getmember("passwd").size == 108


def test_nothing_stays_mounted(engine: Daemon, docker_cli: DockerCli, container: str, tmp_path: Path) -> None:
    def mounts() -> str:
        return Path(f"/proc/{engine.namespace_pid}/mountinfo").read_text()

    before = mounts()
    (tmp_path / "one").write_text("1")
    docker_cli("cp", str(tmp_path / "one"), f"{container}:/vol/one", check=True)
    docker_cli("cp", f"{container}:/vol", str(tmp_path / "out"), check=True)
    docker_cli("export", "-o", str(tmp_path / "e.tar"), container, check=True)
    assert mounts() == before


def test_diff_and_export(docker_cli: DockerCli, container: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    docker_cli("cp", str(tmp_path / "one"), f"{container}:/home/user/one", check=True)
    docker_cli("cp", str(tmp_path / "one"), f"{container}:/vol/one", check=True)
    docker_cli("export", "-o", str(tmp_path / "e.tar"), container, check=True)
    with tarfile.open(tmp_path / "e.tar") as tar:
        names = tar.getnames()
        assert tar.getmember("home/user").uid == 1000
    assert "home/user/one" in names
    assert "bin/busybox" in names
    assert "vol/one" not in names
    lines = docker_cli("diff", container, check=True).stdout.split("\n")
    assert [line for line in lines if line] == ["A /fixed", "C /home", "C /home/user", "A /home/user/one", "A /host", "A /vol"]
