"""`cortend --remove-networks`: nothing of a former engine's networks stays on the host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.network_world import World
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
LOOKS = (("ip", "-o", "link"), ("ip", "rule"), ("ip", "-6", "rule"), ("ip", "route", "show", "table", "all"), ("nft", "list", "tables"))


def seen(daemon: Daemon) -> list[str]:
    """Names of links, rules, routes and tables in the daemon's namespace."""
    enter = ["nsenter", f"--net=/proc/{daemon.namespace_pid}/ns/net"]
    return [subprocess.run([*enter, *look], capture_output=True, text=True, check=True).stdout for look in LOOKS]


def remove_networks(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "corten.daemon", "--remove-networks", "--exec-root", str(daemon.exec_root)]
    command += ["--data-root", str(daemon.data_root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    enter = ["nsenter", f"--net=/proc/{daemon.namespace_pid}/ns/net"]
    return subprocess.run([*enter, *command], capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def before() -> list[str]:
    """What a namespace shows in which there never was a daemon."""
    fresh = subprocess.run(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; " + "; echo @; ".join(" ".join(look) for look in LOOKS)],
        capture_output=True,
        text=True,
        check=True,
    )
    return fresh.stdout.split("@\n")


def test_nothing_is_left_on_the_host(daemon: Daemon, before: list[str], tmp_path: Path) -> None:
    world = World(daemon, tmp_path)
    world.network("front", EnableIPv6=True)
    world.run("one", network="front", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    refused = remove_networks(daemon)
    assert refused.returncode == 1
    assert "another cortend uses" in refused.stderr
    daemon.stop()
    refused = remove_networks(daemon)
    assert refused.returncode == 1
    assert "containers still run on these networks" in refused.stderr
    daemon.start()
    world.remove("one")
    daemon.stop()
    assert seen(daemon) != before
    done = remove_networks(daemon)
    assert done.returncode == 0, done.stderr
    assert "corten0\n" in done.stdout
    assert seen(daemon) == before
    again = remove_networks(daemon)
    assert (again.returncode, again.stdout) == (0, "")


def test_the_networks_come_back_with_the_daemon(daemon: Daemon, tmp_path: Path) -> None:
    world = World(daemon, tmp_path)
    world.network("front")
    daemon.stop()
    assert remove_networks(daemon).returncode == 0
    daemon.start()
    server = world.serve("web", network="front", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    assert world.host.http("127.0.0.1", 8080).startswith("web ")
    assert server.http("127.0.0.1", 80).startswith("web ")
    world.remove("web")
