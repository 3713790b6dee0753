"""Edits in an OCI spec."""

import os
import stat
from typing import Any

import pytest

from corten.engine.devices.cdi import DeviceNode, Edits, Hook, IntelRdt, Mount, NetDevice
from corten.engine.devices.injection import inject
from corten.errors import EngineError, Unsupported


def spec() -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [
        {"destination": path, "type": "tmpfs", "source": "x", "options": []} for path in ("/proc", "/dev/shm", "/opt/x")
    ]
    user = {"uid": 7, "gid": 8, "additionalGids": [8]}
    return {"process": {"env": ["PATH=/bin", "FOO=user"], "user": user}, "mounts": mounts, "linux": {"resources": {"devices": []}}}


def changed(**edits: Any) -> dict[str, Any]:
    made = spec()
    inject(made, Edits(**edits))
    return made


def test_variables_and_groups() -> None:
    process = changed(env=("FOO=device", "NEW=1"), additional_gids=(0, 8, 9, 9))["process"]
    assert process["env"] == ["PATH=/bin", "FOO=device", "NEW=1"]
    assert process["user"]["additionalGids"] == [8, 9]


def test_a_node_as_on_the_host() -> None:
    linux = changed(device_nodes=(DeviceNode(path="/dev/mine", host_path="/dev/null", permissions="r"),))["linux"]
    mode = stat.S_IMODE(os.stat("/dev/null").st_mode)
    assert linux["devices"] == [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": mode}]
    assert linux["resources"]["devices"] == [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}]


def test_a_node_that_says_it_all_needs_no_host() -> None:
    node = DeviceNode(path="/dev/gone", type="b", major=9, minor=0, file_mode=0o600, uid=1, gid=2)
    pipe, again = DeviceNode(path="/dev/pipe", type="p"), DeviceNode(path="/dev/gone", type="c", major=9, permissions="none")
    linux = changed(device_nodes=(node, pipe, again))["linux"]
    assert linux["devices"] == [
        {"path": "/dev/pipe", "type": "p", "major": 0, "minor": 0},
        {"path": "/dev/gone", "type": "c", "major": 9, "minor": 0},
    ]
    assert [rule["access"] for rule in linux["resources"]["devices"]] == ["rwm"]


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (DeviceNode(path="/dev/nonesuch"), 'failed to stat CDI host device "/dev/nonesuch": no such file or directory'),
        (DeviceNode(path="/dev/x", host_path="/etc/passwd"), 'failed to stat CDI host device "/etc/passwd": not a device node'),
        (DeviceNode(path="/dev/null", type="b"), 'CDI device ("/dev/null", "/dev/null"), host type mismatch (b, c)'),
    ],
)
def test_nodes_that_cannot_be_had(node: DeviceNode, says: str) -> None:
    with pytest.raises(EngineError) as caught:
        changed(device_nodes=(node,))
    assert caught.value.message == f"CDI device injection failed: failed to inject devices: {says}"


def test_mounts_take_places_and_stand_in_order() -> None:
    wanted = (Mount(host_path="/a", container_path="/opt/x/"), Mount(host_path="/b", container_path="/opt", type="tmpfs", options=("ro",)))
    mounts = changed(mounts=wanted)["mounts"]
    assert [mount["destination"] for mount in mounts] == ["/proc", "/opt", "/dev/shm", "/opt/x"]
    assert mounts[3] == {"destination": "/opt/x", "type": "none", "source": "/a", "options": ["rbind"]}
    assert mounts[1] == {"destination": "/opt", "type": "tmpfs", "source": "/b", "options": ["ro"]}


def test_hooks_and_resource_classes() -> None:
    hooks = (Hook(hook_name="prestart", path="/a", args=("a",), env=("B=1",), timeout=3), Hook(hook_name="prestart", path="/b"))
    made = changed(hooks=hooks, intel_rdt=IntelRdt(clos_id="x", schemata=("L3",)))
    assert made["hooks"] == {"prestart": [{"path": "/a", "args": ["a"], "env": ["B=1"], "timeout": 3}, {"path": "/b"}]}
    assert made["linux"]["intelRdt"] == {"closID": "x", "schemata": ["L3"]}


def test_network_interfaces_are_refused() -> None:
    with pytest.raises(Unsupported, match="eth7"):
        changed(net_devices=(NetDevice(host_interface_name="eth7", name="eth0"),))
