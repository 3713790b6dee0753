"""`--gpus` on a machine whose driver is files of the test: what the engine finds is what real containers see.

The daemon's own mount namespace gets the driver's /proc entries, libraries and program. No GPU answers behind the nodes.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, import_busybox, run_name
from tests.unit.engine.devices.nvidia import machine
from tests.unit.engine.devices.nvidia.machine import UUIDS, VERSION

pytestmark = pytest.mark.privileged
SHOW = "ls /dev/nvidia*; cat /usr/lib64/libcuda.so.1; nvidia-smi; env | grep NVIDIA; grep -c ' /usr/lib64/lib' /proc/mounts"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def _mount_driver(daemon: Daemon, tree: Path) -> None:
    """Over what is there, in the daemon's namespace alone."""
    enter = ["nsenter", f"--mount=/proc/{daemon.namespace_pid}/ns/mnt"]
    subprocess.run([*enter, "mount", "--bind", str(tree / "proc/driver"), "/proc/driver"], check=True)
    for folder in (LIBRARIES, "/usr/bin"):
        layers = f"lowerdir={tree}{folder}:{folder}"
        subprocess.run([*enter, "mount", "-t", "overlay", "-o", layers, "overlay", folder], check=True)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if not Path(LIBRARIES).is_dir():
        pytest.fail(f"this test puts its libraries beside those in {LIBRARIES}")
    tree = machine.whole(tmp_path_factory.mktemp("machine"))
    daemon = Daemon(run_name("gpus::driver"), "--cdi-spec-dir", str(tree / "cdi"))
    try:
        daemon.start()
        daemon.stop()
        _mount_driver(daemon, tree)
        daemon.start()
        import_busybox(daemon)
        import_base(daemon)
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def docker(daemon: Daemon, tmp_path: Path) -> DockerCli:
    return DockerCli(daemon.host, tmp_path)


def test_all(docker: DockerCli) -> None:
    said = docker("run", "--rm", "--gpus", "all", "busybox", "sh", "-c", SHOW, check=True).stdout
    for text in (
        "/dev/nvidia0\n",
        "/dev/nvidia1\n",
        "/dev/nvidiactl\n",
        "libcuda\n",
        "the driver speaks\n",
        "NVIDIA_VISIBLE_DEVICES=void\n",
    ):
        assert text in said
    assert said.endswith("\n6\n"), "each library under each of its names"


@pytest.mark.parametrize(
    ("words", "nodes"),
    [
        ("1", "/dev/nvidia1"),
        ("device=1", "/dev/nvidia0"),
        (f"device={UUIDS[1]}", "/dev/nvidia0"),
        ('"device=0,1",capabilities=compute', "/dev/nvidia0 /dev/nvidia1"),
        ("driver=nvidia", "/dev/nvidia1"),
    ],
)
def test_some(docker: DockerCli, words: str, nodes: str) -> None:
    said = docker("run", "--rm", "--gpus", words, "busybox", "sh", "-c", "echo /dev/nvidia[0-9]", check=True).stdout
    assert said == f"{nodes}\n"


def test_too_many(docker: DockerCli) -> None:
    done = docker("run", "--rm", "--gpus", "3", "busybox", "true")
    assert done.returncode == 125
    assert "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=2" in done.stderr


def test_a_read_only_root_and_a_plain_user(docker: DockerCli) -> None:
    said = docker("run", "--rm", "--read-only", "-u", "7:7", "--gpus", "all", "busybox", "sh", "-c", SHOW, check=True).stdout
    assert "libcuda\n" in said
    assert "the driver speaks" in said


def test_by_name_and_in_info(docker: DockerCli, daemon: Daemon) -> None:
    said = docker("run", "--rm", "--device", "nvidia.com/gpu=all", "busybox", "nvidia-smi", check=True).stdout
    assert said == "the driver speaks\n"
    names = [device["ID"] for device in daemon.call("GET", "/info").ok()["DiscoveredDevices"]]
    assert names == sorted(f"nvidia.com/gpu={name}" for name in ("0", "1", "all", *UUIDS))


def test_in_a_build_and_gone_after(daemon: Daemon, docker: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN --device=nvidia.com/gpu=all,required nvidia-smi && ls /usr/lib64\n")
    said = corten(daemon.host, "build", "--progress", "plain", "--allow", "device", "-t", "gpus/one", str(tmp_path))
    assert said.status == 0, said.err
    assert "the driver speaks" in said.err
    assert f"libnvidia-gpucomp.so.{VERSION}" in said.err
    left = docker("run", "--rm", "gpus/one", "sh", "-c", "find / -xdev -name '*nvidia*' -o -xdev -name 'libcuda*' -o -xdev -name lib64")
    assert left.stdout == ""


def test_without_a_driver(engine: Daemon, tmp_path: Path, name: str) -> None:
    """Docker's words and status to Docker's CLI, and why to ours."""
    docker = DockerCli(engine.host, tmp_path)
    done = docker("run", "--name", name, "--gpus", "all", "busybox", "true")
    said = corten(engine.host, "start", name)
    docker("rm", name, check=True)
    text = 'Error response from daemon: could not select device driver "" with capabilities: [[gpu]]\n'
    assert (done.returncode, text in done.stderr, said.status) == (125, True, 1)
    assert f"{text}Hint: this machine has no NVIDIA GPU, and no CDI specification describes another\n" in said.err
