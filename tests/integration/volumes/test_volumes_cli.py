"""Volumes through the stock docker CLI: drivers' options, first filling, parts of volumes, sharing between containers."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.support.images import add, busybox_tar

pytestmark = pytest.mark.privileged


@pytest.fixture
def volume(docker_cli: DockerCli, name: str) -> Iterator[str]:
    """A name for a volume, which is removed afterwards."""
    yield name
    docker_cli("volume", "rm", "-f", name)


@pytest.fixture(scope="module")
def image(engine: Daemon) -> Iterator[str]:
    """Busybox with a directory /stuff of files, owners, modes and a link that leads out, and with /out -> the host's /etc."""
    buffer = io.BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        add(tar, "stuff", kind=tarfile.DIRTYPE, mode=0o1750, uid=7)
        add(tar, "stuff/file", b"from the image", mode=0o640, uid=1000)
        add(tar, "stuff/link", kind=tarfile.SYMTYPE, link="../../../../../../etc/shadow")
        add(tar, "stuff/deep", kind=tarfile.DIRTYPE, mode=0o755)
        add(tar, "stuff/deep/x", b"x")
        add(tar, "out", kind=tarfile.SYMTYPE, link="/../../../etc")
    engine.call("POST", "/images/create?fromSrc=-&repo=volume-image&tag=latest", buffer.getvalue()).ok()
    yield "volume-image:latest"
    engine.call("DELETE", "/images/volume-image:latest?force=1")


SHOW = "cd /v; stat -c '%n %U %a' . file deep/x; cat file; readlink link"


def test_a_volume_is_filled_from_the_image_once(docker_cli: DockerCli, image: str, volume: str) -> None:
    first = docker_cli("run", "--rm", "-v", f"{volume}:/stuff", image, "sh", "-c", SHOW.replace("/v", "/stuff"), check=True)
    assert first.stdout.split("\n")[:3] == [". UNKNOWN 1750", "file user 640", "deep/x root 644"]
    assert first.stdout.endswith("from the image../../../../../../etc/shadow\n")
    docker_cli(
        "run", "--rm", "-v", f"{volume}:/stuff", image, "sh", "-c", "rm -r /stuff/file /stuff/deep; echo own > /stuff/own", check=True
    )
    again = docker_cli("run", "--rm", "-v", f"{volume}:/stuff", image, "ls", "/stuff", check=True)
    assert again.stdout.split() == ["link", "own"]


def test_nothing_is_copied_when_asked_not_to(docker_cli: DockerCli, image: str, volume: str) -> None:
    for option in (["-v", f"{volume}:/stuff:nocopy"], ["--mount", f"type=volume,source={volume},target=/stuff,volume-nocopy"]):
        assert docker_cli("run", "--rm", *option, image, "ls", "-A", "/stuff", check=True).stdout == ""


def test_a_volume_held_by_a_running_container_is_filled_in_place(docker_cli: DockerCli, image: str, volume: str) -> None:
    """The running one sees the files come: its mount is of the directory that stays."""
    docker_cli("run", "-d", "--name", volume, "-v", f"{volume}:/v", "busybox", "sleep", "1000", check=True)
    try:
        docker_cli("run", "--rm", "-v", f"{volume}:/stuff", image, "true", check=True)
        seen = docker_cli("exec", volume, "sh", "-c", SHOW, check=True).stdout
    finally:
        docker_cli("rm", "-f", volume)
    assert seen.split("\n")[:3] == [". UNKNOWN 1750", "file user 640", "deep/x root 644"]


def test_a_link_in_the_image_does_not_lead_out(docker_cli: DockerCli, image: str, volume: str) -> None:
    """/out is a link to /etc: the container's, from which the volume is filled, and over which it is mounted."""
    done = docker_cli("run", "--rm", "-v", f"{volume}:/out", image, "sh", "-c", "ls /etc; cat /etc/passwd", check=True)
    assert done.stdout.startswith("group\n")
    assert "/home/user:/bin/sh" in done.stdout


@pytest.mark.parametrize("kind", ["bind", "rbind,ro"])
def test_a_host_directory_as_a_volume(docker_cli: DockerCli, image: str, volume: str, tmp_path: Path, kind: str) -> None:
    device = tmp_path / "device"
    device.mkdir()
    docker_cli("volume", "create", "-o", "type=none", "-o", f"o={kind}", "-o", f"device={device}", volume, check=True)
    if "ro" in kind:
        done = docker_cli("run", "--rm", "-v", f"{volume}:/v", image, "touch", "/v/new")
        assert "Read-only file system" in done.stderr
        return
    docker_cli("run", "--rm", "-v", f"{volume}:/stuff", image, "touch", "/stuff/new", check=True)
    assert {path.name for path in device.iterdir()} == {"file", "link", "deep", "new"}
    docker_cli("volume", "rm", volume, check=True)
    assert (device / "deep" / "x").read_text() == "x"


def test_a_tmpfs_as_a_volume(docker_cli: DockerCli, volume: str) -> None:
    """Two containers that run at the same time share it; when both have ended it is gone."""
    options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000"]
    docker_cli("volume", "create", *options, volume, check=True)
    docker_cli("run", "-d", "--name", volume, "-v", f"{volume}:/v", "busybox", "sh", "-c", "echo 1 > /v/x; sleep 1000", check=True)
    try:
        done = docker_cli("run", "--rm", "-v", f"{volume}:/w", "busybox", "sh", "-c", "df -k /w | tail -1; stat -c %U /w", check=True)
        assert done.stdout.split()[1] == "1024"
        assert done.stdout.endswith("user\n")
        assert "is in use" in docker_cli("volume", "rm", volume).stderr
        docker_cli("exec", volume, "test", "-e", "/v", check=True)
    finally:
        docker_cli("rm", "-f", volume)
    assert docker_cli("run", "--rm", "-v", f"{volume}:/w", "busybox", "ls", "/w", check=True).stdout == ""


def test_what_the_kernel_refuses_to_mount(docker_cli: DockerCli, volume: str) -> None:
    docker_cli("volume", "create", "-o", "type=nosuchfs", "-o", "device=:/x", "-o", "o=addr=127.0.0.1,rw,nosuid", volume, check=True)
    done = docker_cli("run", "--rm", "-v", f"{volume}:/v", "busybox", "true")
    assert done.returncode == 125
    expected = f"/{volume}/_data, flags: 0x2, data: addr=127.0.0.1: no such device"
    assert "failed to mount local volume: mount :/x:" in done.stderr
    assert expected in done.stderr
    docker_cli("volume", "rm", volume, check=True)


def test_a_part_of_a_volume(docker_cli: DockerCli, volume: str, name: str) -> None:
    spec = f"type=volume,source={volume},target=/part,volume-subpath=a/b"
    refused = docker_cli("run", "--rm", "--name", name, "--mount", spec, "busybox", "true")
    assert (refused.returncode, "cannot access path" in refused.stderr) == (127, True) or "no such file" in refused.stderr
    docker_cli(
        "run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", "mkdir -p /v/a/b; echo 1 > /v/a/b/x; echo 2 > /v/top", check=True
    )
    assert docker_cli("run", "--rm", "--mount", spec, "busybox", "ls", "/part", check=True).stdout == "x\n"
    docker_cli("run", "--rm", "--mount", spec, "busybox", "touch", "/part/y", check=True)
    file = spec.replace("a/b", "top").replace("/part", "/file")
    assert docker_cli("run", "--rm", "--mount", file, "busybox", "cat", "/file", check=True).stdout == "2\n"
    escape = docker_cli("run", "--rm", "--mount", spec.replace("a/b", "../x"), "busybox", "true")
    assert "subpath must be a relative path within the volume" in escape.stderr


def test_a_link_inside_a_volume_leads_nowhere_but_the_volume(docker_cli: DockerCli, volume: str, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("hidden")
    script = f"ln -s {tmp_path} /v/out; ln -s / /v/root; ln -s ../../../../../..{tmp_path} /v/up; mkdir -p /v{tmp_path}/secret"
    docker_cli("run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", script, check=True)
    for path in ("out/secret", f"root{tmp_path}/secret", "up/secret"):
        spec = f"type=volume,source={volume},target=/p,volume-subpath={path}"
        done = docker_cli("run", "--rm", "--mount", spec, "busybox", "ls", "-A", "/p", check=True)
        assert done.stdout == ""


@pytest.mark.usefixtures("golden_docker_program")
def test_an_image_as_a_volume(docker_cli: DockerCli, image: str, name: str) -> None:
    spec = f"type=image,source={image},target=/model"
    done = docker_cli("run", "--rm", "--mount", spec, "busybox", "sh", "-c", "cat /model/stuff/file; touch /model/new")
    assert done.stdout == "from the image"
    assert "Read-only file system" in done.stderr
    part = f"{spec},image-subpath=stuff/deep"
    assert docker_cli("run", "--rm", "--mount", part, "busybox", "cat", "/model/x", check=True).stdout == "x"
    missing = docker_cli("run", "--rm", "--mount", "type=image,source=corten-nope,target=/m", "busybox", "true")
    assert missing.returncode == 125


@pytest.mark.usefixtures("golden_docker_program")
def test_a_mounted_image_stays_as_long_as_the_container(engine: Daemon, docker_cli: DockerCli, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "weights", name.encode())
    engine.call("POST", f"/images/create?fromSrc=-&repo={name}&tag=latest", buffer.getvalue()).ok()
    docker_cli("create", "--name", name, "--mount", f"type=image,source={name},target=/m", "busybox", "cat", "/m/weights", check=True)
    try:
        docker_cli("rmi", "-f", name)
        assert docker_cli("start", "-a", name, check=True).stdout == name
    finally:
        docker_cli("rm", "-f", name)


def test_volumes_from(docker_cli: DockerCli, volume: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    mounts = ["-v", f"{volume}:/a", "-v", f"{tmp_path}/host:/b", "-v", "/c", "--mount", "type=tmpfs,target=/d"]
    docker_cli("create", "--name", name, *mounts, "busybox", "true", check=True)
    try:
        docker_cli("run", "--rm", "--volumes-from", name, "busybox", "sh", "-c", "touch /a/1 /b/1 /c/1 /d/1", check=True)
        script = "ls /a /b /c; for place in a b c d; do touch /$place/2 && echo written; done"
        done = docker_cli("run", "--rm", "--volumes-from", f"{name}:ro", "busybox", "sh", "-c", script)
        assert done.stdout.split() == ["/a:", "1", "/b:", "1", "/c:", "1"]
        assert done.stderr.count("Read-only file system") == 4
        own = docker_cli("run", "--rm", "--volumes-from", name, "--mount", "type=volume,target=/a", "busybox", "ls", "-A", "/a", check=True)
        assert own.stdout == ""
    finally:
        docker_cli("rm", "-v", name, check=True)
    assert (tmp_path / "host" / "1").exists()
    assert docker_cli("volume", "ls", "-q", "-f", f"name={volume}", check=True).stdout == f"{volume}\n"


def test_anonymous_volumes_end_with_their_container_when_asked(docker_cli: DockerCli, volume: str, name: str) -> None:
    docker_cli("create", "--name", name, "-v", "/anonymous", "-v", f"{volume}:/named", "busybox", "true", check=True)
    mounts = json.loads(docker_cli("inspect", "-f", "{{json .Mounts}}", name, check=True).stdout)
    (anonymous,) = [mount["Name"] for mount in mounts if mount["Destination"] == "/anonymous"]
    docker_cli("rm", name, check=True)
    assert docker_cli("volume", "inspect", anonymous).returncode == 0
    docker_cli("volume", "rm", anonymous, check=True)
    docker_cli("run", "--rm", "--name", name, "-v", "/anonymous", "-v", f"{volume}:/named", "busybox", "true", check=True)
    assert docker_cli("volume", "inspect", volume).returncode == 0
