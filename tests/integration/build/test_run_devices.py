"""`RUN --device`: the device is there in that step, is asked leave for, and leaves nothing in the layer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, run_name

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]
SPEC = """
cdiVersion: "0.7.0"
kind: "test.example/gpu"
annotations: {org.mobyproject.buildkit.device.class: gpu}
devices:
- name: a
  containerEdits:
    env: ["GPU=a"]
    deviceNodes:
    - {path: /dev/cdi-null, hostPath: /dev/null}
    - {path: /opt/nodes/null, hostPath: /dev/null}
    mounts:
    - {hostPath: FOLDER/lib, containerPath: /usr/lib/cdi/libgpu.so.1, options: [ro, bind]}
"""
FREE = """
cdiVersion: "0.7.0"
kind: "test.example/free"
devices:
- name: a
  annotations: {org.mobyproject.buildkit.device.autoallow: "true"}
  containerEdits: {env: ["FREE=1"]}
- {name: broken, containerEdits: {deviceNodes: [{path: /dev/nonesuch-cdi}]}, annotations: {org.mobyproject.buildkit.device.autoallow: "1"}}
"""
SHOW = "env | grep -E '^(GPU|FREE)='; ls /dev/cdi-null /opt/nodes/null; cat /usr/lib/cdi/libgpu.so.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cdi")
    (folder / "lib").write_text("the library\n")
    (folder / "gpu.yaml").write_text(SPEC.replace("FOLDER", str(folder)))
    (folder / "free.yaml").write_text(FREE)
    return folder


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(run_name("builds::cdi"), "--cdi-spec-dir", str(folder))
    try:
        daemon.start()
        import_base(daemon)
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def build(daemon: Daemon, tmp_path: Path) -> Build:
    def run(lines: str, *flags: str, fails: bool = False) -> Said:
        (tmp_path / "Dockerfile").write_text(f"FROM corpus/base\n{lines}\n")
        said = corten(daemon.host, "build", "--progress", "plain", *flags, str(tmp_path))
        assert (said.status != 0) == fails, said.err
        return said

    return run


def test_in_that_step_alone_and_not_in_the_image(build: Build, daemon: Daemon, tmp_path: Path) -> None:
    after = "env | grep GPU= || ls -d /dev/cdi-null /opt /usr/lib/cdi 2>/dev/null || echo all gone"
    said = build(f"RUN --device=test.example/gpu=a,required {SHOW}; touch /made\nRUN {after}", "--allow", "device", "-t", "devices/one")
    for text in ("GPU=a", "/dev/cdi-null\n", "/opt/nodes/null\n", "the library\n", " all gone\n"):
        assert text in said.err
    listing = "ls -d /made /opt /usr/lib/cdi /dev/cdi-null 2>/dev/null; env | grep GPU="
    assert DockerCli(daemon.host, tmp_path)("run", "--rm", "devices/one", "sh", "-c", listing).stdout == "/made\n"


def test_leave_is_asked_before_anything_runs(build: Build) -> None:
    lines = "RUN echo ran first\nRUN --device=test.example/gpu=a true"
    said = build(lines, "--no-cache", fails=True).err
    assert "device test.example/gpu=a is requested by the build but not allowed" in said
    assert ">>> RUN --device=test.example/gpu=a true" in said
    assert " ran first" not in said.replace("RUN echo ran first", "")
    for leave in ("device", "device=test.example/gpu=a", "device=test.example/gpu=*", "device=gpu"):
        build(lines, "--allow", leave)
    assert "not allowed" in build(lines, "--allow", "device=test.example/free=a", fails=True).err


def test_names(build: Build) -> None:
    for name in ("test.example/gpu", "test.example/gpu=*", "gpu"):
        assert "GPU=a" in build(f"RUN --device={name} env", "--no-cache", "--allow", "device").err
    assert "GPU=a" in build("RUN --device=mine env", "--no-cache", "--allow", "device=test.example/gpu=a,alias=mine").err
    assert "FREE=1" in build("RUN --device=test.example/free=a env", "--no-cache").err


def test_what_is_missing(build: Build) -> None:
    assert "GPU=" not in build("RUN --device=test.example/none=a env", "--no-cache").err
    said = build("RUN echo ran first\nRUN --device=test.example/none=a,required env", "--no-cache", fails=True).err
    assert 'required device "test.example/none=a" is not registered' in said
    said = build("RUN --device=test.example/free=broken true", "--no-cache", fails=True).err
    assert 'CDI device injection failed: failed to inject devices: failed to stat CDI host device "/dev/nonesuch-cdi"' in said


def test_the_cache_knows_devices_from_none(build: Build) -> None:
    def runs(device: str) -> bool:
        return " made now\n" in build(f"RUN {device} echo made now; echo $GPU > /which", "--allow", "device").err

    lines = [
        "--device=test.example/gpu=a",
        "--device=test.example/gpu=a",
        "",
        "--device=test.example/gpu=*",
        "--device=gpu",
        "--device=gone",
    ]
    assert [runs(line) for line in lines] == [True, False, True, True, True, True]


def test_the_stock_builder(daemon: Daemon, tmp_path: Path) -> None:
    """It has no way to ask for leave: what allows itself is served."""
    cli = DockerCli(daemon.host, tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN --device=test.example/free=a env\n")
    assert "FREE=1" in cli("build", "--no-cache", str(tmp_path), check=True).stdout
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN --device=test.example/gpu=a env\n")
    done = cli("build", "--no-cache", str(tmp_path))
    assert "device test.example/gpu=a is requested by the build but not allowed" in done.stderr
