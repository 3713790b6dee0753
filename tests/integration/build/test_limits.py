"""Limits of RUN steps: what the step's cgroup says, through the stock CLI and Corten's; wrong ones in Docker's words."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
FLAGS = "-m 100m --memory-swap 200m --cpu-quota 50000 --cpu-period 100000 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --shm-size 1m"
FLAGS += " --ulimit nofile=100:200 --add-host a.example:1.2.3.4"
SHOW = """FROM corpus/base
RUN if [ -d /sys/fs/cgroup/memory ]; then cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares \
cpuset/cpuset.cpus; else cd /sys/fs/cgroup; cat memory.max; cut -d' ' -f1 cpu.max; echo 512; cat cpuset.cpus; fi; \
df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d' ' -f2; ulimit -n; grep a.example /etc/hosts; grep memory: /proc/self/cgroup
"""


@pytest.fixture
def parent() -> Iterator[str]:
    """A cgroup for steps, which the engine makes and, like Docker, leaves."""
    yield "/corten-test-parent"
    root = Path("/sys/fs/cgroup")
    for path in (*root.glob("*/corten-test-parent"), *root.glob("corten-test-parent")):
        deadline = time.monotonic() + 10
        while path.exists():
            with suppress(OSError):  # a step's own goes behind its answer
                path.rmdir()
            assert time.monotonic() < deadline, f"{path} stays"
            time.sleep(0.01)


@pytest.mark.parametrize("client", ["docker", "corten"])
def test_they_hold(engine: Daemon, tmp_path: Path, client: str, parent: str) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(SHOW)
    words = ("build", "--no-cache", *FLAGS.split(), "--cgroup-parent", parent, str(tmp_path))
    if client == "docker":
        environment = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
        said = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=True).stdout
    else:
        said = corten(engine.host, *words[:1], "--progress", "plain", *words[1:]).err
    lines = [line.split(" ", 2)[-1] if client == "corten" else line for line in said.splitlines()]
    start = lines.index("104857600")
    assert lines[start : start + 6] == ["104857600", "50000", "512", "0", "1024", "100"]
    assert "1.2.3.4\ta.example" in said
    assert f"{parent}/" in said or "memory:" not in said


def test_by_one_flag(engine: Daemon, tmp_path: Path) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(SHOW)
    wanted = "memory=100m,memory-swap=200m,cpu-quota=50000,cpu-period=100000,cpu-shares=512,cpuset-cpus=0,cpuset-mems=0"
    said = corten(engine.host, "build", "--progress", "plain", "--no-cache", "--resource", wanted, str(tmp_path)).err
    lines = [line.split(" ", 2)[-1] for line in said.splitlines()]
    start = lines.index("104857600")
    assert lines[start : start + 4] == ["104857600", "50000", "512", "0"]


def test_a_step_beyond_its_memory_is_killed(engine: Daemon, tmp_path: Path) -> None:
    import_base(engine)
    eat = "awk 'BEGIN { s = \"0123456789\"; while (length(s) < 30000000) s = s s }'"
    (tmp_path / "Dockerfile").write_text(f"FROM corpus/base\nRUN {eat}\n")
    assert corten(engine.host, "build", "-q", "--no-cache", str(tmp_path)).status == 0
    said = corten(engine.host, "build", "--no-cache", "-m", "10m", "--memory-swap", "10m", str(tmp_path))
    assert "did not complete successfully: exit code: 137" in said.err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("-m", "1000b"), "Minimum memory limit allowed is 6MB"),
        (("--cpuset-cpus", "99"), "Requested CPUs are not available - requested 99"),
        (("-m", "20m", "--memory-swap", "5m"), "Minimum memoryswap limit should be larger than memory limit, see usage"),
        (("--cpu-period", "5"), "CPU cfs period can not be less than 1ms"),
        (("--cpu-shares", "-3"), "invalid CPU shares (-3): value must be a positive integer"),
    ],
)
def test_wrong_ones(engine: Daemon, tmp_path: Path, flags: tuple[str, ...], complaint: str) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN true\n")
    assert complaint in corten(engine.host, "build", "--no-cache", *flags, str(tmp_path)).err
