"""What `build_spec` makes, run by the runtime on this machine's kernel (and, by `tests/kernel/test_cgroup_v2`, on another)."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corten.engine.init import install_init
from corten.engine.spec import Machine, Placement, build_spec
from corten.engine.values.container import Container, ContainerConfig, HostConfig, Resources
from corten.ids import ContainerId, ImageId
from corten.kernel.caps import last_cap
from corten.kernel.cgroup import detect_version
from corten.kernel.probe import held_capabilities
from tests.unit.engine.spec.cases import GROUP, PASSWD

pytestmark = pytest.mark.privileged
COMMANDS = ["sh", "sleep", "id", "ls", "cat", "mount", "mknod", "env", "head", "grep", "touch", "hostname", "ps", "test", "kill", "true"]
Run = Callable[..., list[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system of busybox."""
    found = tmp_path / "rootfs"
    for folder in ("bin", "etc", "sbin", "tmp", "proc", "sys", "dev"):
        (found / folder).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "busybox is needed"
    shutil.copy(busybox, found / "bin/busybox")
    for name in COMMANDS:
        (found / "bin" / name).symlink_to("busybox")
    (found / "etc/passwd").write_text(PASSWD)
    (found / "etc/group").write_text(GROUP)
    return found


@pytest.fixture
def run(tmp_path: Path, root: Path) -> Run:
    """Runs a shell script in a container with these host options; the lines it printed, the last being its status."""
    container_id = f"spec-runs-{os.getpid()}"
    version = detect_version()
    machine = Machine(cgroup_version=version, capabilities=held_capabilities(), init_path=install_init(str(tmp_path), os.uname().machine))

    def body(script: str, *, user: str = "", **host: Any) -> list[str]:
        defaults: dict[str, Any] = {"shm_size": 1 << 20, "cgroupns_mode": "private" if version == 2 else "host", "network_mode": "none"}
        container = Container(
            id=ContainerId(container_id), name="x", created=0, image_id=ImageId(""), image_ref="", path="/bin/sh", args=("-c", script),
            config=ContainerConfig(hostname="box", user=user), host=HostConfig(**defaults | host),
        )  # fmt: skip
        placement = Placement(machine=machine, read_file=lambda path: (root / path.lstrip("/")).read_text())
        (tmp_path / "config.json").write_text(json.dumps(build_spec(container, placement)))
        command = [
            sys.executable,
            "-m",
            "corten.runtime.main",
            "--root",
            str(tmp_path / "state"),
            "run",
            "--bundle",
            str(tmp_path),
            container_id,
        ]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60, check=False)
        return [*done.stdout.splitlines(), *done.stderr.splitlines(), str(done.returncode)]

    return body


def test_users_and_names(run: Run) -> None:
    assert run("id -u; id -G; hostname; echo $HOME; exit 5") == ["0", "0 10", "box", "/root", "5"]
    assert run("id -u; id -g; id -G; echo $HOME", user="bob", group_add=("29",)) == ["1000", "1001", "1001 1 10 29", "/home/bob", "0"]


def test_capabilities(run: Run) -> None:
    def effective(**host: Any) -> int:
        return int(run("grep CapEff /proc/self/status", **host)[0].split()[1], 16)

    assert effective() == 0xA80425FB
    assert effective(cap_drop=("ALL",)) == 0
    everything = sum(1 << number for number in range(last_cap() + 1))
    assert effective(privileged=True) == everything & effective(cap_add=("ALL",))
    assert effective(privileged=True).bit_count() == len(held_capabilities())


def test_devices(run: Run) -> None:
    assert run("echo x >/dev/null && head -c3 /dev/zero | wc -c")[:1] == ["3"]
    script = "mknod /tmp/cd c 1 11 && cat /tmp/cd"
    assert "Operation not permitted" in run(script)[0]
    rule = Resources(device_cgroup_rules=("c 1:11 r",))
    assert "Operation not permitted" not in run("mknod /tmp/kmsg c 1 11 && head -c1 /tmp/kmsg >/dev/null; echo $?", resources=rule)[0]


def test_hidden_and_protected_paths(run: Run) -> None:
    assert run("cat /proc/timer_list /proc/keys | head -c1; ls /sys/firmware; (echo 1 >/proc/sys/kernel/shmmax) 2>/dev/null; echo $?") == [
        "1",
        "0",
    ]
    assert run("touch /x /tmp/y 2>/dev/null; echo $?", readonly_rootfs=True, tmpfs={"/tmp": ""})[0] == "1"
    assert run("touch /tmp/y; echo $?; mount | grep -c ' on /tmp '", readonly_rootfs=True, tmpfs={"/tmp": "size=1m"}) == ["0", "1", "0"]


def test_system_calls(run: Run) -> None:
    assert (
        "Operation not permitted" in " ".join(run("mount -t tmpfs x /tmp 2>&1", cap_add=("SYS_PTRACE",)))
        or "permission" in " ".join(run("mount -t tmpfs x /tmp 2>&1")).lower()
    )
    assert run("grep -c 'Seccomp:.2' /proc/self/status")[0] == "1"
    assert run("grep -c 'Seccomp:.0' /proc/self/status", security_opt=("seccomp=unconfined",))[0] == "1"
    assert run("mount -t tmpfs x /tmp; echo $?", privileged=True)[0] == "0"


def test_an_init_reaps_and_forwards(run: Run) -> None:
    lines = run(
        "cat /proc/1/cmdline | head -c17; echo; (sleep 0.01 &); sleep 0.1; ps | grep -c '[Zz]ombie'; kill -TERM 1; sleep 5", init=True
    )
    assert lines == ["/sbin/docker-init", "0", "143"]


def test_limits(run: Run) -> None:
    limited = Resources(memory=64 << 20, pids_limit=20, cpuset_cpus="0")
    where = "/sys/fs/cgroup" if detect_version() == 2 else "/sys/fs/cgroup/memory"
    name = "memory.max" if detect_version() == 2 else "memory.limit_in_bytes"
    shown = run(f"cat {where}/{name}; grep Cpus_allowed_list /proc/self/status", resources=limited)
    assert shown == [str(64 << 20), "Cpus_allowed_list:\t0", "0"]
