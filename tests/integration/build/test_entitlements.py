"""RUN with more than usual: `--network=host`, `--security=insecure`; each only with leave. Devices: test_run_devices."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]


@pytest.fixture
def build(engine: Daemon, tmp_path: Path, name: str) -> Build:
    import_base(engine)

    def run(line: str, *flags: str, fails: bool = False) -> Said:
        (tmp_path / "Dockerfile").write_text(f"FROM corpus/base\n{line}\n")
        said = corten(engine.host, "build", "--progress", "plain", "--no-cache", *flags, str(tmp_path))
        assert (said.status != 0) == fails, said.err
        return said

    return run


def test_insecure(build: Build) -> None:
    """All capabilities, the host's devices, mounts; nothing of that in the next step."""
    line = "RUN --security=insecure grep CapEff /proc/self/status; mount -t tmpfs none /mnt && touch /mnt/x; ls -d /dev/kmsg"
    both = f"{line}\nRUN echo next; grep CapEff /proc/self/status; mkdir /m; mount -t tmpfs none /m || echo refused"
    assert "security.insecure is not allowed" in build(both, fails=True).err
    said = build(both.replace("/mnt", "/tmp"), "--allow", "security.insecure").err
    insecure, _, usual = said.partition(" next\n")
    full = int(Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0], 16)
    assert f"CapEff:\t{full:016x}" in insecure
    assert "/dev/kmsg" in insecure
    assert "CapEff:\t00000000a80425fb" in usual
    assert "refused" in usual


def test_the_hosts_network(build: Build, engine: Daemon) -> None:
    """Of the engine's namespace, for one step or for all."""
    words = ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net", "readlink", "/proc/self/ns/net"]
    hosts = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    show = "readlink /proc/self/ns/net"
    assert "network.host is not allowed" in build(f"RUN --network=host {show}", fails=True).err
    assert hosts in build(f"RUN --network=host {show}", "--allow", "network.host").err
    assert hosts in build(f"RUN {show}", "--network", "host").err
    assert hosts not in build(f"RUN {show}", "--allow", "network.host").err


def test_none(build: Build) -> None:
    assert " 1\n" in build("RUN --network=none ls /sys/class/net | wc -l").err


def test_unknown_leave(build: Build) -> None:
    assert "unknown entitlement foo" in build("RUN true", "--allow", "foo", fails=True).err
