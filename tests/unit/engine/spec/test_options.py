"""Small parsers of the spec: security options, capabilities, tmpfs, devices, mount propagation, seccomp profiles, limits."""

import json
from typing import Any

import pytest

from corten.engine.spec.capabilities import DEFAULT_CAPABILITIES, container_capabilities
from corten.engine.spec.devices import DeviceNode, host_devices, mapped_devices, privileged_devices
from corten.engine.spec.mounts import source_mount
from corten.engine.spec.resources import linux_resources
from corten.engine.spec.seccomp import load_profile
from corten.engine.spec.security import SecurityOptions, parse_security_options
from corten.engine.spec.tmpfs import request_text, tmpfs_options
from corten.engine.values.container import DeviceMapping, MountRequest, Resources, ThrottleDevice
from corten.errors import EngineError, Invalid
from corten.kernel.caps import CAPS


def test_security_options_add_up() -> None:
    options = parse_security_options(
        ["no-new-privileges", "seccomp:unconfined", "label=type:x", "label=level:y", "apparmor=p", "writable-cgroups=false"]
    )
    assert options == SecurityOptions(
        no_new_privileges=True, seccomp="unconfined", labels=("type:x", "level:y"), apparmor="p", writable_cgroups=False
    )
    assert parse_security_options(["no-new-privileges=false"], SecurityOptions(no_new_privileges=True)).no_new_privileges is False
    assert parse_security_options(["disable", "systempaths=unconfined"]) == SecurityOptions(
        labels=("disable",), unconfined_system_paths=True
    )


def test_capabilities_are_never_more_than_the_engine_holds() -> None:
    held = [name for name in CAPS if name != "CAP_SYS_ADMIN"]
    assert container_capabilities([], [], privileged=True, available=held) == held
    assert "CAP_SYS_ADMIN" not in container_capabilities(["ALL"], [], privileged=False, available=held)
    assert tuple(container_capabilities([], [], privileged=False, available=held)) == DEFAULT_CAPABILITIES
    assert container_capabilities(["all"], ["all"], privileged=False, available=held) == held


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["noexec", "nosuid", "nodev", "rprivate"]),
        ("exec,size=1m,defaults", ["nosuid", "nodev", "rprivate", "exec", "size=1m"]),
        ("size=1m,size=2m,ro,rw", ["noexec", "nosuid", "nodev", "rprivate", "size=2m", "rw"]),
        ("shared,suid,dev", ["noexec", "shared", "suid", "dev"]),
    ],
)
def test_later_tmpfs_options_win(text: str, expected: list[str]) -> None:
    assert tmpfs_options(text) == expected


def test_tmpfs_requests() -> None:
    request = MountRequest(type="tmpfs", target="/x", read_only=True, tmpfs_size=3 << 20, tmpfs_mode=0o1777, tmpfs_options=(("exec",),))
    assert request_text(request) == "ro,mode=1777,size=3m,exec"
    assert request_text(MountRequest(type="tmpfs", target="/x", tmpfs_size=1000)) == "size=1000"
    with pytest.raises(Invalid, match="invalid option: uid"):
        request_text(MountRequest(type="tmpfs", target="/x", tmpfs_options=(("uid", "1"),)))


def test_devices_of_a_directory_keep_their_places() -> None:
    nodes = [DeviceNode("/dev/d/a", "c", 1, 2, 0o600, 0, 0), DeviceNode("/dev/d/b/c", "b", 3, 4, 0o600, 0, 0)]
    found, rules = mapped_devices(
        [DeviceMapping(path_on_host="/dev/d", path_in_container="/dev/e", cgroup_permissions="r")], lambda path: nodes
    )
    assert [device["path"] for device in found] == ["/dev/e/a", "/dev/e/b/c"]
    assert rules[1] == {"allow": True, "type": "b", "major": 3, "minor": 4, "access": "r"}
    privileged = privileged_devices([DeviceMapping(path_on_host="/dev/d", path_in_container="/dev/e")], lambda path: nodes)
    assert [device["path"] for device in privileged] == ["/dev/d/a", "/dev/d/b/c", "/dev/e/a", "/dev/e/b/c"]


def test_host_devices_are_nodes_only() -> None:
    assert [(node.type, node.major, node.minor) for node in host_devices("/dev/null")] == [("c", 1, 3)]
    assert host_devices("/etc") == []
    assert host_devices("/nonexistent") == []
    paths = [node.path for node in host_devices("/dev")]
    assert "/dev/zero" in paths
    assert not any(path.startswith(("/dev/pts/", "/dev/console")) for path in paths)


def test_the_source_mount_is_the_nearest() -> None:
    mountinfo = "1 0 8:1 / / rw shared:1 - ext4 a rw\n2 1 8:2 / /mnt rw master:3 - ext4 b rw\n3 1 8:3 / /mnt\\040x rw - ext4 c rw\n"
    assert source_mount("/etc", mountinfo) == ("/", ["shared:1"])
    assert source_mount("/mnt/deep/er", mountinfo) == ("/mnt", ["master:3"])
    assert source_mount("/mnt x/y", mountinfo) == ("/mnt x", [])


def test_only_what_was_asked_for_is_a_limit() -> None:
    assert linux_resources(Resources()) == {}
    assert linux_resources(Resources(memory=10, memory_swap=-1)) == {"memory": {"limit": 10, "swap": -1}}
    assert linux_resources(Resources(pids_limit=0)) == {"pids": {"limit": -1}}
    assert linux_resources(Resources(nano_cpus=250_000_000)) == {"cpu": {"period": 100_000, "quota": 25_000}}
    throttled = Resources(blkio_device_read_bps=(ThrottleDevice(path="/dev/x", rate=9),), blkio_weight=100)
    assert linux_resources(throttled, lambda path: (8, 1)) == {
        "blockIO": {"weight": 100, "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 9}]}
    }
    with pytest.raises(EngineError, match="stat /dev/nonexistent: no such file or directory"):
        linux_resources(Resources(blkio_weight_device=(ThrottleDevice(path="/dev/nonexistent", rate=9),)))


def profile(**rule: Any) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"} | rule]})


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({}, True),
        ({"includes": {"caps": ["CAP_A"]}}, True),
        ({"includes": {"caps": ["CAP_A", "CAP_B"]}}, False),
        ({"excludes": {"caps": ["CAP_A"]}}, False),
        ({"excludes": {"caps": ["CAP_B"]}}, True),
        ({"includes": {"arches": ["arm64", "amd64"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.9"}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"includes": {}, "excludes": None}, True),
    ],
)
def test_profile_conditions(rule: dict[str, Any], holds: bool) -> None:
    found = load_profile(profile(**rule), ["CAP_A"], "x86_64", "6.8.0-rc1")
    assert found is not None
    assert bool(found["syscalls"]) is holds


def test_profile_architectures_and_old_names() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [{"name": "read", "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": []}],
        }
    )
    assert load_profile(text, [], "x86_64") == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": []}],
    }
    assert load_profile("{}", [], "x86_64") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Decoding seccomp profile failed"),
        ('{"defaultAction":"A","architectures":["x"],"archMap":[{"architecture":"y"}]}', "both 'architectures' and 'archMap'"),
        ('{"defaultAction":"A","syscalls":[{"name":"a","names":["b"],"action":"B"}]}', "both 'name' and 'names'"),
    ],
)
def test_bad_profiles(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        load_profile(text, [], "x86_64")
