"""Refusals at create, with Docker's texts (each seen from a Docker 28.5)."""

from typing import Any

import pytest

from corten.engine.spec import Machine, check_options
from corten.engine.values.container import ContainerConfig, HostConfig, PortBinding, Resources, Ulimit
from corten.errors import Invalid
from corten.kernel.caps import CAPS

MACHINE = Machine(capabilities=[name for name in CAPS if name != "CAP_SYS_RESOURCE"])
PORTS = {"80/tcp": (PortBinding(),)}


@pytest.mark.parametrize(
    ("config", "host", "text"),
    [
        ({}, {"network_mode": "container:"}, "invalid network mode: invalid container format container:<name|id>"),
        ({"hostname": "a"}, {"network_mode": "container:x"}, "conflicting options: hostname and the network mode"),
        ({}, {"network_mode": "container:x", "dns": ("1.1.1.1",)}, "conflicting options: dns and the network mode"),
        (
            {},
            {"network_mode": "container:x", "extra_hosts": ("a:1",)},
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            {},
            {"network_mode": "container:x", "port_bindings": PORTS},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"exposed_ports": ("1/tcp",)},
            {"network_mode": "container:x"},
            "conflicting options: port exposing and the container type network mode",
        ),
        (
            {},
            {"network_mode": "container:x", "links": ("a",)},
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        ),
        (
            {},
            {"network_mode": "host", "links": ("a",)},
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        ),
        ({"hostname": "a"}, {"uts_mode": "host"}, "conflicting options: hostname and the UTS mode"),
        ({}, {"cap_add": ("FOO",)}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        (
            {},
            {"cap_drop": ("sys_resource",)},
            'invalid CapDrop: capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
        ),
        ({}, {"security_opt": ("foo",)}, 'invalid --security-opt 1: "foo"'),
        ({}, {"security_opt": ("foo=bar",)}, 'invalid --security-opt 2: "foo=bar"'),
        ({}, {"security_opt": ("no-new-privileges=maybe",)}, 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ({}, {"resources": Resources(device_cgroup_rules=("c 1 rwm",))}, "invalid device cgroup rule format: 'c 1 rwm'"),
        ({}, {"resources": Resources(blkio_weight=5)}, "Range of blkio weight is from 10 to 1000"),
        (
            {},
            {"resources": Resources(cpu_realtime_period=10, cpu_realtime_runtime=20)},
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ),
        ({}, {"resources": Resources(ulimits=(Ulimit(name="foo", soft=1, hard=1),))}, "invalid ulimit type: foo"),
        (
            {},
            {"resources": Resources(ulimits=(Ulimit(name="core", soft=2, hard=1),))},
            "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
        ),
        ({}, {"tmpfs": {"/x": "size"}}, 'invalid tmpfs option "size"'),
        ({}, {"userns_mode": "mine"}, "invalid user namespace mode: mine"),
    ],
)
def test_refusals(config: dict[str, Any], host: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_options(ContainerConfig(**config), HostConfig(**host), MACHINE)
    assert refusal.value.message == text


def test_a_profile_is_read_at_create() -> None:
    with pytest.raises(Invalid, match="Decoding seccomp profile failed"):
        check_options(ContainerConfig(), HostConfig(security_opt=("seccomp=[]",)), MACHINE)


@pytest.mark.parametrize("option", ["apparmor=docker-default", "apparmor:p", "label=type:x", "label:user:x", "label=level:s0"])
def test_a_protection_that_cannot_be_applied_is_refused(option: str) -> None:
    with pytest.raises(Invalid, match=r"the container would run without it") as raised:
        check_options(ContainerConfig(), HostConfig(security_opt=(option,)), MACHINE)
    assert option.partition("=")[0].partition(":")[0] in raised.value.message


def test_an_apparmor_profile_where_the_kernel_has_it() -> None:
    check_options(ContainerConfig(), HostConfig(security_opt=("apparmor=p",)), Machine(capabilities=list(CAPS), has_apparmor=True))


def test_systemd_wants_slices() -> None:
    systemd = Machine(cgroup_manager="systemd")
    check_options(ContainerConfig(), HostConfig(resources=Resources(cgroup_parent="my.slice")), systemd)
    with pytest.raises(Invalid, match=r'named as "xxx.slice"'):
        check_options(ContainerConfig(), HostConfig(resources=Resources(cgroup_parent="/my")), systemd)


def test_ordinary_requests_pass() -> None:
    host = HostConfig(
        network_mode="container:x",
        cap_add=("ALL", "net_admin"),
        security_opt=("label=disable", "apparmor=unconfined", "seccomp=unconfined", "no-new-privileges", "label:disable"),
        tmpfs={"/x": "size=1m,mode=700,exec"},
        resources=Resources(
            device_cgroup_rules=("c *:* rwm", "a 1:2 m"), blkio_weight=10, ulimits=(Ulimit(name="CORE", soft=-1, hard=-1),)
        ),
    )
    check_options(ContainerConfig(), host, MACHINE)
    check_options(ContainerConfig(hostname="a"), HostConfig(network_mode="host"), MACHINE)
