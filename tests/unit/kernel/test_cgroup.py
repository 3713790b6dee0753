"""The pure parts of control groups: limits as file writes, device policies and their program, mount and membership parsing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.kernel.cgroup import detect_version, open_cgroup
from corten.kernel.cgroup.device_program import device_program
from corten.kernel.cgroup.devices import Policy, device_line, digest_rules, exceptions_of, parse_device_lines
from corten.kernel.cgroup.files import parse_flat, parse_nested
from corten.kernel.cgroup.hierarchies import Hierarchies, parse_membership, parse_mounts, resolve
from corten.kernel.cgroup.v1_limits import v1_writes
from corten.kernel.cgroup.v2_limits import cpu_weight, io_weight, swap_max, v2_writes
from tests.unit.kernel.bpf_machine import run_device

EVERYTHING: dict[str, Any] = {
    "memory": {"limit": 100, "swap": 300, "reservation": 50, "swappiness": 10, "disableOOMKiller": True, "kernelTCP": 9},
    "cpu": {"shares": 1024, "quota": 5000, "period": 10000, "burst": 1000, "cpus": "0-1", "mems": "0", "realtimePeriod": 7, "idle": 1},
    "pids": {"limit": 20},
    "blockIO": {
        "weight": 500,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}],
    },
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
    "rdma": {"mlx5_0": {"hcaHandles": 3, "hcaObjects": 4}},
}


def test_v1_writes() -> None:
    assert v1_writes(EVERYTHING | {"network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 5}]}}) == [
        ("memory", "memory.limit_in_bytes", "100"),
        ("memory", "memory.memsw.limit_in_bytes", "300"),
        ("memory", "memory.soft_limit_in_bytes", "50"),
        ("memory", "memory.swappiness", "10"),
        ("memory", "memory.kmem.tcp.limit_in_bytes", "9"),
        ("memory", "memory.oom_control", "1"),
        ("cpu", "cpu.shares", "1024"),
        ("cpu", "cpu.rt_period_us", "7"),
        ("cpu", "cpu.idle", "1"),
        ("cpu", "cpu.cfs_burst_us", "1000"),
        ("cpu", "cpu.cfs_period_us", "10000"),
        ("cpu", "cpu.cfs_quota_us", "5000"),
        ("cpuset", "cpuset.cpus", "0-1"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "20"),
        ("blkio", "blkio.weight", "500"),
        ("blkio", "blkio.weight_device", "8:0 10"),
        ("blkio", "blkio.throttle.read_bps_device", "8:0 1000"),
        ("blkio", "blkio.throttle.write_iops_device", "8:16 0"),
        ("hugetlb", "hugetlb.2MB.limit_in_bytes", "4096"),
        ("net_cls", "net_cls.classid", "1"),
        ("net_prio", "net_prio.ifpriomap", "eth0 5"),
        ("rdma", "rdma.max", "mlx5_0 hca_handle=3 hca_object=4"),
    ]


def test_v2_writes() -> None:
    assert v2_writes(EVERYTHING | {"unified": {"memory.high": "90", "cgroup.type": "threaded", "io.max": "8:0 rbps=1\n8:1 rbps=2"}}) == [
        ("memory", "memory.swap.max", "200"),
        ("memory", "memory.max", "100"),
        ("memory", "memory.low", "50"),
        ("cpu", "cpu.idle", "1"),
        ("cpu", "cpu.weight", "100"),
        ("cpu", "cpu.max", "5000 10000"),
        ("cpu", "cpu.max.burst", "1000"),
        ("cpuset", "cpuset.cpus", "0-1"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "20"),
        ("io", "io.weight", "4950"),
        ("io", "io.weight", "8:0 1"),
        ("io", "io.max", "8:0 rbps=1000"),
        ("io", "io.max", "8:16 wiops=max"),
        ("hugetlb", "hugetlb.2MB.max", "4096"),
        ("hugetlb", "hugetlb.2MB.rsvd.max", "4096"),
        ("rdma", "rdma.max", "mlx5_0 hca_handle=3 hca_object=4"),
        ("memory", "memory.high", "90"),
        ("", "cgroup.type", "threaded"),
        ("io", "io.max", "8:0 rbps=1"),
        ("io", "io.max", "8:1 rbps=2"),
    ]


@pytest.mark.parametrize("writes", [v1_writes, v2_writes])
def test_nothing_asked_nothing_written(writes: Any) -> None:
    assert writes({}) == []
    assert writes({"memory": None, "cpu": {}, "pids": {"limit": 0}, "blockIO": {}, "devices": [{"allow": True}]}) == []


def test_unlimited() -> None:
    assert v1_writes({"memory": {"limit": -1}}) == [
        ("memory", "memory.limit_in_bytes", "-1"),
        ("memory", "memory.memsw.limit_in_bytes", "-1"),
    ]
    assert v2_writes({"memory": {"limit": -1}}) == [("memory", "memory.swap.max", "max"), ("memory", "memory.max", "max")]
    assert v2_writes({"cpu": {"quota": -1}}) == [("cpu", "cpu.max", "max 100000")]
    assert v1_writes({"pids": {"limit": -1}}) == v2_writes({"pids": {"limit": -1}}) == [("pids", "pids.max", "max")]


@pytest.mark.parametrize("shares", [1, -1, 262145])
def test_shares_that_the_kernel_would_change_are_refused_on_version_1(shares: int) -> None:
    with pytest.raises(ValueError, match="allowed cpu-shares is"):
        v1_writes({"cpu": {"shares": shares}})
    assert v1_writes({"cpu": {"shares": 2}}) == [("cpu", "cpu.shares", "2")]


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="without memory limit"):
        v2_writes({"memory": {"swap": 5}})
    with pytest.raises(ValueError, match="must not be below"):
        v2_writes({"memory": {"swap": 5, "limit": 6}})
    with pytest.raises(ValueError, match="must be a file name"):
        v2_writes({"unified": {"../memory.max": "1"}})
    with pytest.raises(ValueError, match="needs cgroup v2"):
        v1_writes({"unified": {"memory.high": "1"}})


def test_weights_keep_their_middle_and_ends() -> None:
    assert [cpu_weight(shares) for shares in (0, 2, 1024, 262144, 10**9)] == [1, 1, 100, 10000, 10000]
    assert all(cpu_weight(shares) <= cpu_weight(shares + 1) for shares in range(2, 3000))
    assert [io_weight(weight) for weight in (10, 1000)] == [1, 10000]
    assert [swap_max(10, 30), swap_max(10, 10), swap_max(10, -1), swap_max(10, 0)] == ["20", "0", "max", None]


def test_the_last_catch_all_counts() -> None:
    allow, deny = {"allow": True, "access": "rwm"}, {"allow": False, "type": "a", "access": "rwm"}
    null = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
    assert digest_rules([allow]).allows_everything()
    assert digest_rules([null, deny, allow]) == Policy(True, ())
    policy = digest_rules([allow, deny, null, null])
    assert not policy.allow_by_default
    assert exceptions_of(policy) == {("c", 1, 3): "rw"}
    assert not digest_rules([{"allow": False, "type": "c", "access": "w"}, allow, {"allow": False, "type": "b"}]).allows_everything()
    assert parse_device_lines("b 7:* rwm\nc 1:3 r\n") == {("b", 7, -1): "rwm", ("c", 1, 3): "r"}
    assert device_line(("b", 7, -1), "rm") == "b 7:* rm"
    for bad in ({"type": "x"}, {"access": "rx"}):
        with pytest.raises(ValueError, match="unknown device"):
            digest_rules([bad])


def test_a_rule_said_again_decides_again() -> None:
    deny = {"allow": False, "type": "a", "access": "r"}
    program = device_program(digest_rules([deny, {"allow": True, "type": "a", "minor": 1}, deny]))
    assert run_device(program, 1, 2, 1, 1) == 0
    assert run_device(program, 1, 4, 1, 1) == 1


def test_v1_keeps_exceptions_from_the_default() -> None:
    deny = {"allow": False, "access": "rwm"}
    wide = {"allow": True, "type": "c", "major": 1, "access": "rw"}
    null = {"type": "c", "major": 1, "minor": 3}
    assert exceptions_of(digest_rules([deny, {"allow": True, **null, "access": "r"}, {"allow": True, **null, "access": "mw"}])) == {
        ("c", 1, 3): "rwm"
    }
    assert exceptions_of(digest_rules([deny, {"allow": True, **null}, {"allow": False, **null, "access": "w"}])) == {("c", 1, 3): "rm"}
    assert exceptions_of(digest_rules([deny, {"allow": True, **null}, wide | {"allow": False, "access": "rwm"}])) == {}
    assert exceptions_of(digest_rules([deny, wide, {"allow": False, **null, "access": "m"}])) == {("c", 1, -1): "rw"}
    assert exceptions_of(digest_rules([deny, {"allow": True, "type": "a", "access": "m"}])) == {("b", -1, -1): "m", ("c", -1, -1): "m"}
    with pytest.raises(ValueError, match="cannot make an exception from the wildcard"):
        exceptions_of(digest_rules([deny, wide, {"allow": False, **null}]))


numbers = st.sampled_from([None, -1, 1, 5])
entries = st.fixed_dictionaries(
    {"allow": st.booleans(), "type": st.sampled_from(["a", "b", "c"]), "major": numbers, "minor": numbers},
    optional={"access": st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])},
)


def says(entries: list[dict[str, Any]], kind: str, access: set[str], major: int, minor: int) -> bool:
    """The meaning of an OCI device list, straight from its definition: the last rule that matches decides."""
    for entry in reversed(entries):
        granted = set(entry.get("access", "rwm"))
        matches_access = access <= granted if entry["allow"] else bool(access & granted)
        matches_numbers = entry["major"] in (None, -1, major) and entry["minor"] in (None, -1, minor)
        if entry["type"] in ("a", kind) and matches_numbers and matches_access:
            return bool(entry["allow"])
    return False


@settings(max_examples=120, deadline=None)
@given(
    st.lists(entries, max_size=7),
    st.sampled_from(["b", "c"]),
    st.sets(st.sampled_from("rwm"), min_size=1),
    st.sampled_from([1, 5, 9]),
    st.sampled_from([1, 5, 9]),
)
def test_the_program_says_what_the_list_says(rules: list[dict[str, Any]], kind: str, access: set[str], major: int, minor: int) -> None:
    program = device_program(digest_rules(rules))
    mask = sum({"m": 1, "r": 2, "w": 4}[letter] for letter in access)
    answer = run_device(program, {"b": 1, "c": 2}[kind], mask, major, minor)
    assert bool(answer) == says(rules, kind, access, major, minor)


V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
35 31 0:30 / /elsewhere rw,relatime - cgroup cgroup rw,cpu,cpuacct
"""


def test_mounts_and_membership() -> None:
    v1 = "/sys/fs/cgroup/cpu,cpuacct"
    assert parse_mounts(V1) == {"cpu": v1, "cpuacct": v1, "name=systemd": "/sys/fs/cgroup/systemd", "": "/sys/fs/cgroup/unified"}
    assert parse_membership("9:name=systemd:/a\n1:cpu,cpuacct:/b:c\n0::/d\n") == {
        "name=systemd": "/a",
        "cpu": "/b:c",
        "cpuacct": "/b:c",
        "": "/d",
    }
    assert detect_version() in (1, 2)


@pytest.mark.parametrize(
    ("path", "own", "expected"),
    [
        ("/corten/x", "/own", "/corten/x"),
        ("/a/../../../b", "/", "/b"),
        ("rel/x", "/system.slice/cortend.service", "/system.slice/rel/x"),
        ("rel", "/", "/rel"),
        ("../../../x", "/a/b", "/x"),
    ],
)
def test_paths_stay_inside_the_hierarchy(path: str, own: str, expected: str) -> None:
    assert resolve(path, own) == expected


def test_flat_and_nested_files() -> None:
    assert parse_flat("usage_usec 12\nsome text\nnr -1\n") == {"usage_usec": 12, "nr": -1}
    assert parse_nested("8:0 rbytes=1 wbytes=2 x=y\n8:16\n") == {"8:0": {"rbytes": 1, "wbytes": 2}, "8:16": {}}


def test_managers() -> None:
    v2 = Hierarchies(2, {"": "/sys/fs/cgroup"}, {"": "/init.scope"})
    assert open_cgroup("cgroupfs", "/corten/x", v2).paths() == {"": "/sys/fs/cgroup/corten/x"}
    with pytest.raises(ValueError, match="unknown cgroup manager"):
        open_cgroup("other", "/x", v2)
