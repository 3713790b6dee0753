"""A config.json becomes a plan, or is refused with the field's name."""

import copy
from typing import Any

import pytest

from corten.errors import EngineError, Invalid, Unsupported
from corten.kernel import mount as m
from corten.kernel import namespaces as ns
from corten.runtime.commands.template import template
from corten.runtime.config.plan import InitPlan, make_plan, plan_namespaces
from corten.runtime.config.spec import check_spec
from corten.runtime.config.sysctl import normalized
from corten.runtime.values import CreateOptions, Spec


def spec(**linux: Any) -> Spec:
    found = template(rootless=False)
    found["linux"].update(linux)
    return found


def plan(config: Spec) -> InitPlan:
    check_spec(config)
    return make_plan(config, "/bundle", None, CreateOptions())


def test_the_template_is_a_plan() -> None:
    found = plan(spec())
    assert found.rootfs == "/bundle/rootfs"
    assert [mount.destination for mount in found.mounts][:2] == ["/proc", "/dev"]
    assert {device.path for device in found.devices} >= {"/dev/null", "/dev/tty"}
    assert found.namespaces.created == {"pid", "ipc", "uts", "mount", "cgroup", "network"}
    assert found.rootfs_propagation is None
    plan(template(rootless=True) | {"linux": spec()["linux"]})


def test_namespaces_new_and_joined() -> None:
    found = plan_namespaces([{"type": "network", "path": "/n"}, {"type": "mount"}, {"type": "user", "path": "/u"}, {"type": "pid"}])
    assert found.new == ns.CLONE_NEWNS | ns.CLONE_NEWPID
    assert found.joined == (("user", "/u"), ("network", "/n"))
    assert found.path("user") == "/u"
    assert found.path("pid") is None


MAPS = [{"containerID": 0, "hostID": 1000, "size": 1}]
ALL = [{"type": kind} for kind in ("mount", "uts", "user", "network", "ipc")]


@pytest.mark.parametrize(
    ("linux", "kind", "words"),
    [
        ({"namespaces": [{"type": "pid"}]}, Unsupported, "mount namespace"),
        ({"namespaces": [{"type": "mount"}, {"type": "mount"}]}, Invalid, "twice"),
        ({"namespaces": [{"type": "planet"}]}, Invalid, "planet"),
        ({"namespaces": [{"type": "mount"}]}, Invalid, "hostname"),
        ({"namespaces": ALL}, Invalid, "uidMappings"),
        ({"uidMappings": MAPS, "gidMappings": MAPS}, Invalid, "without a user namespace"),
        ({"timeOffsets": {"monotonic": {"secs": 1}}}, Invalid, "timeOffsets"),
        ({"intelRdt": {"closID": "x"}}, Unsupported, "intelRdt"),
        ({"rootfsPropagation": "sideways"}, Invalid, "sideways"),
        ({"sysctl": {"kernel.panic": "1"}}, Invalid, "not in a separate kernel namespace"),
        ({"sysctl": {"net.ipv4.ip_forward": "1"}, "namespaces": [{"type": "mount"}, {"type": "uts"}]}, Invalid, "hosts network namespace"),
        ({"sysctl": {"kernel.hostname": "x"}}, Invalid, "conflicts"),
        ({"sysctl": {"net.../../kernel.panic": "1"}}, Invalid, "separate"),
    ],
)
def test_refusals(linux: dict[str, Any], kind: type[EngineError], words: str) -> None:
    with pytest.raises(kind, match=words):
        plan(spec(**linux))


def test_allowed_sysctls() -> None:
    plan(spec(sysctl={"net.core.somaxconn": "1", "kernel.shmmax": "1", "fs.mqueue.msg_max": "1", "kernel.domainname": "x"}))
    assert normalized("net/ipv4/conf/eth0.1/forwarding") == "net.ipv4.conf.eth0/1.forwarding"
    assert normalized("net.ipv4.conf.eth0/1.forwarding") == "net.ipv4.conf.eth0/1.forwarding"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ociVersion": "2.0"}, "ociVersion"),
        ({"root": {}}, "root.path"),
        ({"root": None}, "root"),
        ({"process": {"args": [], "cwd": "/"}}, "process.args"),
        ({"process": {"args": [1], "cwd": "/"}}, "process.args"),
        ({"process": {"args": ["x"], "cwd": "relative"}}, "process.cwd"),
        ({"mounts": [{"source": "x"}]}, r"mounts\[0\].destination"),
        ({"hooks": {"prestart": [{"path": "relative"}]}}, r"hooks.prestart\[0\].path"),
    ],
)
def test_a_bad_config_names_the_field(change: Spec, field: str) -> None:
    with pytest.raises(Invalid, match=f"^{field} "):
        check_spec(spec() | change)


def test_devices_of_a_bound_dev_are_left_alone() -> None:
    config = spec()
    config["mounts"] = [{"destination": "/dev", "source": "/dev", "options": ["rbind"]}]
    assert plan(config).devices == ()


def test_bind_sources_count_from_the_bundle() -> None:
    config = spec()
    config["mounts"] = [
        {"destination": "/a", "source": "data", "options": ["bind"]},
        {"destination": "/b", "source": "/x", "options": ["bind"]},
    ]
    assert [mount.source for mount in plan(config).mounts] == ["/bundle/data", "/x"]


def test_default_device_rules_are_added_once() -> None:
    first = plan(spec()).resources["devices"]
    assert first[0] == {"allow": False, "access": "rwm"}
    again = plan(spec(resources={"devices": copy.deepcopy(first)})).resources["devices"]
    assert again == first
    assert plan(spec(resources={})).resources["devices"][0]["allow"] is False


def test_root_propagation() -> None:
    assert plan(spec(rootfsPropagation="rshared")).rootfs_propagation == m.MS_SHARED | m.MS_REC
