"""The engine on cgroup v2, through its API: what limits, devices, pausing, figures and the OOM killer do there. For the virtual machine
that `tests/kernel/test_cgroup_v2` boots, with systemd as process 1 or without."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.kernel.cgroup import detect_version
from tests.support.daemon import Daemon, import_busybox

pytestmark = pytest.mark.privileged
MIB = 1 << 20


@pytest.fixture(scope="module")
def engine() -> Iterator[Daemon]:
    made = Daemon("guest")
    try:
        made.start()
        import_busybox(made)
        yield made
        made.stop()
    finally:
        made.remove()


@pytest.fixture
def box(engine: Daemon) -> Iterator[str]:
    """A container with every kind of limit, running until it is told to stop."""
    script = "trap 'exit 5' TERM; echo started; while :; do sleep 0.1; done"
    host = {"Memory": 64 * MIB, "NanoCpus": 500_000_000, "PidsLimit": 20, "CpuShares": 512, "NetworkMode": "none"}
    host |= {"Devices": [{"PathOnHost": "/dev/loop-control", "PathInContainer": "/dev/given", "CgroupPermissions": "r"}]}
    yield run(engine, script, host)
    engine.call("DELETE", "/containers/box?force=1").ok()


def run(engine: Daemon, script: str, host: dict[str, Any]) -> str:
    engine.call("POST", "/containers/create?name=box", {"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": host}).ok()
    engine.call("POST", "/containers/box/start").ok()
    return "box"


def execute(engine: Daemon, script: str) -> str:
    """The output of a shell script in the box."""
    made = engine.call(
        "POST", "/containers/box/exec", {"Cmd": ["sh", "-c", script], "AttachStdout": True, "AttachStderr": True, "Tty": True}
    )
    return engine.call("POST", f"/exec/{made.ok()['Id']}/start", {"Tty": True}).body.decode().replace("\r\n", "\n")


def group(engine: Daemon) -> Path:
    """The box's cgroup as the host sees it."""
    pid = inspect(engine)["State"]["Pid"]
    return Path("/sys/fs/cgroup" + Path(f"/proc/{pid}/cgroup").read_text().strip().partition("::")[2])


def inspect(engine: Daemon) -> Any:
    return engine.call("GET", "/containers/box/json").ok()


def test_the_engine_says_what_it_runs_on(engine: Daemon) -> None:
    assert detect_version() == 2
    info = engine.call("GET", "/info").ok()
    assert info["CgroupVersion"] == "2"
    assert [info[key] for key in ("MemoryLimit", "SwapLimit", "CpuCfsQuota", "CPUShares", "PidsLimit")] == [True] * 5


def test_limits_are_seen_inside_and_outside_and_change(engine: Daemon, box: str) -> None:
    names = ("memory.max", "memory.swap.max", "cpu.max", "pids.max")
    inside = execute(engine, f"cd /sys/fs/cgroup; cat {' '.join(names)}").split("\n")
    assert inside[:4] == [str(64 * MIB), str(64 * MIB), "50000 100000", "20"]
    assert execute(engine, "cat /proc/self/cgroup") == "0::/\n"
    assert [(group(engine) / name).read_text().strip() for name in names] == inside[:4]
    engine.call("POST", f"/containers/{box}/update", {"Memory": 96 * MIB, "MemorySwap": 96 * MIB, "PidsLimit": 30, "NanoCpus": 10**9}).ok()
    assert execute(engine, f"cd /sys/fs/cgroup; cat {' '.join(names)}").split("\n")[:4] == [str(96 * MIB), "0", "100000 100000", "30"]


def test_devices_by_program(engine: Daemon, box: str) -> None:
    """Reading was granted, writing not; of a node that the container makes for itself neither."""
    given = "(: </dev/given) 2>&1 && echo readable; (: >/dev/given) 2>&1"
    made = "mknod /dev/made c 1 1; (: </dev/made) 2>&1; mknod /tmp/zero c 1 5; head -c1 /tmp/zero | wc -c"
    readable, written, opened, known = execute(engine, f"{given}; {made}").strip().split("\n")
    assert (readable, known) == ("readable", "1")
    assert "Operation not permitted" in written
    assert "Operation not permitted" in opened


def test_pause_and_stop(engine: Daemon, box: str) -> None:
    engine.call("POST", f"/containers/{box}/pause").ok()
    assert (group(engine) / "cgroup.freeze").read_text() == "1\n"
    assert inspect(engine)["State"]["Status"] == "paused"
    engine.call("POST", f"/containers/{box}/unpause").ok()
    assert execute(engine, "echo thawed") == "thawed\n"
    left = group(engine)
    engine.call("POST", f"/containers/{box}/stop?t=20").ok()
    assert inspect(engine)["State"]["ExitCode"] == 5
    deadline = time.monotonic() + 10
    while left.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stats(engine: Daemon, box: str) -> None:
    found = engine.call("GET", f"/containers/{box}/stats?stream=0").ok()
    assert 0 < found["memory_stats"]["usage"] < found["memory_stats"]["limit"] == 64 * MIB
    assert {"anon", "file", "inactive_file", "pgfault"} <= found["memory_stats"]["stats"].keys()
    assert "max_usage" not in found["memory_stats"]
    assert found["cpu_stats"]["cpu_usage"]["total_usage"] > found["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert "percpu_usage" not in found["cpu_stats"]["cpu_usage"]
    assert found["cpu_stats"]["throttling_data"]["periods"] > 0
    assert 1 <= found["pids_stats"]["current"] <= 3
    assert found["pids_stats"]["limit"] == 20
    assert found["blkio_stats"]["io_serviced_recursive"] is None


def test_too_many_processes_are_refused(engine: Daemon, box: str) -> None:
    assert "can't fork" in execute(engine, "for i in $(seq 30); do sleep 5 & done; wait")


def test_the_oom_killer_is_reported(engine: Daemon) -> None:
    since = time.time()
    run(engine, "x=x; while :; do x=$x$x$x$x; done", {"Memory": 32 * MIB, "MemorySwap": 32 * MIB, "NetworkMode": "none"})
    try:
        assert engine.call("POST", "/containers/box/wait").ok()["StatusCode"] == 137
        assert inspect(engine)["State"]["OOMKilled"] is True
        events = engine.call("GET", f"/events?since={since:.3f}&until={time.time():.3f}").body.decode()
        assert '"oom"' in events
    finally:
        engine.call("DELETE", "/containers/box?force=1").ok()


def test_what_the_kernel_refuses_is_told(engine: Daemon) -> None:
    made = engine.call(
        "POST", "/containers/create?name=box", {"Image": "busybox", "HostConfig": {"CpusetCpus": "77", "NetworkMode": "none"}}
    )
    assert made.status == 400
