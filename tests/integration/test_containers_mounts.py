"""Binds and tmpfs through the stock docker CLI."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.support.images import add, busybox_tar

pytestmark = pytest.mark.privileged


def test_a_host_directory_both_ways(docker_cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    done = docker_cli("run", "--rm", "-v", f"{tmp_path}:/data", "busybox", "sh", "-c", "cat /data/in; echo back > /data/out")
    assert done.stdout == "from the host"
    assert (tmp_path / "out").read_text() == "back\n"


def test_read_only(docker_cli: DockerCli, tmp_path: Path) -> None:
    for option in ("-v", "--mount"):
        spec = f"{tmp_path}:/data:ro" if option == "-v" else f"type=bind,source={tmp_path},target=/data,readonly"
        done = docker_cli("run", "--rm", option, spec, "busybox", "touch", "/data/x")
        assert "Read-only file system" in done.stderr
    assert not list(tmp_path.glob("x"))


def test_a_missing_directory_is_made_for_v_and_refused_for_mount(docker_cli: DockerCli, tmp_path: Path) -> None:
    missing = tmp_path / "a b" / "c"
    docker_cli("run", "--rm", "-v", f"{missing}:/data", "busybox", "touch", "/data/x", check=True)
    assert (missing / "x").exists()
    refused = docker_cli("run", "--rm", "--mount", f"type=bind,source={tmp_path}/none,target=/data", "busybox", "true")
    assert refused.returncode == 125
    assert f'invalid mount config for type "bind": bind source path does not exist: {tmp_path}/none' in refused.stderr


def test_a_file(docker_cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("x=1")
    assert (
        docker_cli("run", "--rm", "-v", f"{tmp_path}/conf:/etc/made/here/conf:ro", "busybox", "cat", "/etc/made/here/conf").stdout == "x=1"
    )


def test_mounts_inside_mounts(docker_cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x").write_text("inner")
    options = ["-v", f"{tmp_path}/inner:/a/b", "-v", f"{tmp_path}/outer:/a"]
    assert docker_cli("run", "--rm", *options, "busybox", "cat", "/a/b/x").stdout == "inner"


def test_tmpfs(docker_cli: DockerCli) -> None:
    script = "df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t; grep ' /t ' /proc/mounts"
    done = docker_cli("run", "--rm", "--tmpfs", "/t:size=2m,mode=700,exec", "busybox", "sh", "-c", script)
    size, mode, line = done.stdout.splitlines()
    assert (size, mode) == ("2048", "700")
    assert "noexec" not in line
    done = docker_cli("run", "--rm", "--mount", "type=tmpfs,target=/t,tmpfs-size=2097152,tmpfs-mode=1770", "busybox", "sh", "-c", script)
    size, mode, line = done.stdout.splitlines()
    assert (size, mode) == ("2048", "1770")
    assert "noexec" in line


def test_a_link_in_the_image_does_not_lead_out(engine: Daemon, docker_cli: DockerCli, name: str, tmp_path: Path) -> None:
    """The destination is resolved inside the container's root, whatever links lie there."""
    victim = tmp_path / "victim"
    victim.mkdir()
    buffer = io.BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        add(tar, "link", kind=tarfile.SYMTYPE, link=f"../../../../../..{victim}")
    engine.call("POST", f"/images/create?fromSrc=-&repo={name}&tag=latest", buffer.getvalue()).ok()
    try:
        done = docker_cli("run", "--rm", "-v", f"{tmp_path}:/link/data", "--tmpfs", "/link/t", name, "ls", "/link/data", f"{victim}/data")
    finally:
        docker_cli("rmi", "-f", name)
    assert done.stdout.count("victim\n") == 2
    assert not list(victim.iterdir())


@pytest.mark.parametrize(
    ("flags", "kilobytes"),
    [(["-m", "64m"], 32768), (["-m", "64m", "--shm-size", "5m"], 5120), ([], os.sysconf("SC_PHYS_PAGES") * 4 // 2 & ~3)],
)
def test_shm_is_bounded_by_memory(docker_cli: DockerCli, name: str, flags: list[str], kilobytes: int) -> None:
    size = docker_cli("run", "--name", name, *flags, "busybox", "sh", "-c", "df -k /dev/shm | tail -1", check=True).stdout.split()[1]
    assert int(size) == kilobytes
    assert int(docker_cli("inspect", "-f", "{{.HostConfig.ShmSize}}", name, check=True).stdout) == kilobytes << 10
    docker_cli("rm", name)


def test_many_workers_share_memory(docker_cli: DockerCli) -> None:
    """What a data loader with 16 workers needs, which 64 MB do not hold."""
    each = "for i in $(seq 16); do dd if=/dev/zero of=/dev/shm/$i bs=1M count=32 2>/dev/null || exit 9; done"
    assert docker_cli("run", "--rm", "busybox", "sh", "-c", each).returncode == 0
    assert docker_cli("run", "--rm", "--shm-size", "64m", "busybox", "sh", "-c", each).returncode == 9


def test_shm_size(docker_cli: DockerCli) -> None:
    assert docker_cli("run", "--rm", "--shm-size", "5m", "busybox", "sh", "-c", "df -k /dev/shm | tail -1").stdout.split()[1] == "5120"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("/x:y", "invalid mount path: 'y' mount path must be absolute"),
        ("/x:/", "destination can't be '/'"),
        ("/x:/y:nonsense", "invalid mode: nonsense"),
    ],
)
def test_nonsense(docker_cli: DockerCli, spec: str, text: str) -> None:
    done = docker_cli("run", "--rm", "-v", spec, "busybox", "true")
    assert done.returncode == 125
    assert text in done.stderr


OWNER = 21034
WRITE = "id -u; cat /data/before; echo inside > /data/made; mkdir /data/folder; stat -c %u /data/before"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of a user of the host, that nobody else may enter."""
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine/before").write_text("mine\n")
    for path in (tmp_path / "mine", tmp_path / "mine/before"):
        os.chown(path, OWNER, OWNER)
    return tmp_path / "mine"


def corten(engine: Daemon, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "SUDO_UID": str(OWNER), "SUDO_GID": str(OWNER)}
    command = [sys.executable, "-m", "corten.cli.main", "-H", engine.host, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("user", ["0:0", "1000:1000", f"{OWNER}:{OWNER}"])
def test_what_it_writes_is_mine(engine: Daemon, mine: Path, user: str) -> None:
    done = corten(engine, "run", "--rm", "--as-me", "-u", user, "-v", f"{mine}:/data", "busybox", "sh", "-c", WRITE)
    uid = user.partition(":")[0]
    assert (done.stdout, done.returncode) == (f"{uid}\nmine\n{uid}\n", 0), done.stderr
    assert {path.name: (path.stat().st_uid, path.stat().st_gid) for path in mine.iterdir()} == dict.fromkeys(
        ("before", "made", "folder"), (OWNER, OWNER)
    )


def test_others_in_the_container_do_not_become_me(engine: Daemon, mine: Path) -> None:
    """Who has my id in there can write nothing; root, where the container's user is another, stays root."""
    done = corten(engine, "run", "-d", "--as-me", "-u", "1000", "-v", f"{mine}:/data", "busybox", "sleep", "100")
    refused = corten(engine, "exec", "-u", str(OWNER), done.stdout.strip(), "touch", "/data/other")
    by_root = corten(engine, "exec", "-u", "0", done.stdout.strip(), "touch", "/data/root")
    corten(engine, "rm", "-f", done.stdout.strip())
    assert (refused.returncode, by_root.returncode) == (1, 0)
    assert not (mine / "other").exists()
    assert (mine / "root").stat().st_uid == 0


def test_volumes_are_as_ever(engine: Daemon, name: str) -> None:
    done = corten(engine, "run", "--rm", "--as-me", "-v", f"{name}:/v", "busybox", "sh", "-c", "touch /v/x; stat -c %u /v/x")
    corten(engine, "volume", "rm", name)
    assert done.stdout == "0\n"


def test_an_owner_that_is_none_is_refused(docker_cli: DockerCli) -> None:
    done = docker_cli("create", "--annotation", "corten.bind-owner=me", "busybox")
    assert (done.returncode, "expected UID:GID" in done.stderr) == (1, True)


def test_a_file_system_that_cannot_map_ids_is_named(engine: Daemon) -> None:
    done = corten(engine, "run", "--rm", "--as-me", "-v", "/sys/kernel:/data", "busybox", "true")
    assert done.returncode != 0
    assert "its file system cannot map ids" in done.stderr
