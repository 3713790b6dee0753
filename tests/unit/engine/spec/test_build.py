"""`build_spec` against what Docker 28.5 handed to runc for the same request (golden.json, see record.py)."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from corten.engine.containers.mounts import requested
from corten.engine.spec import ExecRequest, IdMap, Machine, Placement, build_exec, build_spec
from corten.engine.spec.devices import DeviceNode
from corten.engine.values.container import Container, DeviceMapping, MountPoint, Resources, Ulimit
from corten.errors import EngineError, Invalid
from corten.kernel.cgroup.devices import digest_rules
from tests.unit.engine.spec.cases import BODIES, CONTAINER_ID, GOLDEN, GROUP, PASSWD, container_of

GOLDEN_SPECS: dict[str, Any] = json.loads(GOLDEN.read_text())
# The recording machine lacked CAP_SYS_RESOURCE.
HELD = GOLDEN_SPECS["privileged"]["process"]["capabilities"]["bounding"]

NODES = [
    DeviceNode("/dev/null", "c", 1, 3, 0o666, 0, 0),
    DeviceNode("/dev/spec-dir/one", "c", 1, 3, 0o640, 0, 0),
    DeviceNode("/dev/spec-dir/sub/two", "b", 7, 0, 0o600, 0, 0),
    DeviceNode("/dev/zero", "c", 1, 5, 0o666, 0, 0),
]


def probe(path: str) -> list[DeviceNode]:
    return [node for node in NODES if node.path == path or node.path.startswith(f"{path}/")]


def machine() -> Machine:
    return Machine(
        arch="x86_64",
        kernel="6.18.0",
        cgroup_version=1,
        cgroup_parent="/docker",
        capabilities=HELD,
        init_path="/usr/bin/docker-init",
        devices=probe,
        device_number=lambda path: (8, 0),
        mountinfo=lambda: "1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw\n",
    )


def placement(name: str) -> Placement:
    body = BODIES[name].get("HostConfig", {})
    shm = {"host": "/dev/shm", "shareable": "/files/mounts/shm"}.get(body.get("IpcMode", ""), "")
    return Placement(
        machine=machine(),
        shm=shm,
        hostname_file="/files/hostname",
        hosts_file="/files/hosts",
        resolv_conf_file="/files/resolv.conf",
        read_file={"/etc/passwd": PASSWD, "/etc/group": GROUP}.__getitem__,
    )


def built(name: str) -> dict[str, Any]:
    container = container_of(name)
    return build_spec(container_of(name, tuple(requested(container.config, container.host))), placement(name))


def unique(entries: list[Any]) -> list[Any]:
    """Docker repeats its default rules; a repetition changes nothing."""
    found: list[Any] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found


def normalized(spec: dict[str, Any]) -> dict[str, Any]:
    """Both in one form: order where order means nothing, and what is empty, absent."""
    spec = copy.deepcopy(spec)
    process, linux = spec["process"], spec["linux"]
    process["env"] = [entry for entry in process["env"] if not entry.startswith("HOME=")]  # runc adds it, we do
    for names in process["capabilities"].values():
        names.sort()
    for key in ("noNewPrivileges", "terminal", "oomScoreAdj"):
        process.setdefault(key, 0)
    linux.pop("seccomp", None)
    spec["root"].setdefault("readonly", False)
    resources = linux["resources"]
    policy = digest_rules(unique(resources["devices"]))  # Docker puts its default rules before "allow all" too
    resources["devices"] = [policy.allow_by_default, *policy.rules]
    for part in [part for part in resources if not resources[part]]:
        del resources[part]
    for mount in spec["mounts"]:
        mount["options"].sort()
    spec["mounts"].sort(key=lambda mount: mount["destination"])
    linux["namespaces"].sort(key=lambda namespace: namespace["type"])
    for key in ("maskedPaths", "readonlyPaths"):
        linux[key] = sorted(path for path in linux.get(key) or [] if "thermal" not in path)
    linux["devices"] = sorted(linux.get("devices", []), key=lambda device: device["path"])
    linux.setdefault("sysctl", {})
    process["user"]["additionalGids"].sort()  # Docker's --group-add comes in random order
    return spec


@pytest.mark.parametrize("name", BODIES)
def test_spec_is_as_docker_makes_it(name: str) -> None:
    ours, theirs = normalized(built(name)), normalized(GOLDEN_SPECS[name])
    if name == "privileged":  # the recording left out that machine's devices
        assert [device["path"] for device in ours["linux"].pop("devices")] == [node.path for node in NODES]
        theirs["linux"].pop("devices")
    assert ours == theirs


def test_mounts_come_parents_first() -> None:
    destinations = [mount["destination"] for mount in built("read-only")["mounts"]]
    assert destinations.index("/run") < destinations.index("/etc/hosts")
    assert destinations.index("/dev") < destinations.index("/dev/pts")


def test_allowed_system_calls_are_dockers() -> None:
    def allowed(profile: dict[str, Any]) -> set[str]:
        return {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule for name in rule["names"]}

    ours, theirs = built("plain")["linux"]["seccomp"], GOLDEN_SPECS["plain"]["linux"]["seccomp"]
    assert allowed(ours) == allowed(theirs)
    for key in ("defaultAction", "defaultErrnoRet", "architectures"):
        assert ours[key] == theirs[key]


def with_host(name: str, **changes: Any) -> Container:
    container = container_of(name)
    return replace(container, host=replace(container.host, **changes))


REFUSALS: list[tuple[Callable[[], Container], type[EngineError], str]] = [
    (lambda: replace_user("nobody-here"), EngineError, "unable to find user nobody-here: no matching entries in passwd file"),
    (lambda: replace_user("bob:nogroup"), EngineError, "unable to find group nogroup: no matching entries in group file"),
    (lambda: replace_user("5000000000"), Invalid, "uids and gids must be in range 0-2147483647"),
    (lambda: with_host("plain", tmpfs={"/x": "bogus"}), Invalid, 'invalid tmpfs option "bogus"'),
    (lambda: with_host("plain", sysctls={"kernel.panic": "1"}), Invalid, 'sysctl "kernel.panic" is not in a separate kernel namespace'),
    (
        lambda: with_host("host-network", sysctls={"net.ipv4.ip_forward": "1"}),
        Invalid,
        'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    ),
    (
        lambda: with_host("host-namespaces", sysctls={"kernel.shmmax": "1"}),
        Invalid,
        'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
    ),
    (
        lambda: with_host("plain", sysctls={"kernel.hostname": "a"}),
        Invalid,
        'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
    ),
    (lambda: with_host("plain", security_opt=("seccomp={",)), Invalid, "Decoding seccomp profile failed: "),
    (
        lambda: with_host("plain", resources=Resources(devices=(DeviceMapping(path_on_host="/dev/none"),))),
        EngineError,
        'error gathering device information while adding custom device "/dev/none": no such file or directory',
    ),
    (
        lambda: replace(
            container_of("plain"), mounts=(MountPoint(type="bind", source="/s", destination="/d", rw=True, propagation="rshared"),)
        ),
        EngineError,
        "path /s is mounted on / but it is not a shared mount",
    ),
]


def replace_user(user: str) -> Container:
    container = container_of("plain")
    return replace(container, config=replace(container.config, user=user))


@pytest.mark.parametrize(("container", "kind", "text"), REFUSALS)
def test_refusals_have_dockers_text(container: Callable[[], Container], kind: type[EngineError], text: str) -> None:
    private = replace(machine(), mountinfo=lambda: "1 0 8:1 / / rw - ext4 /dev/sda rw\n")
    with pytest.raises(kind) as refusal:
        build_spec(container(), replace(placement("plain"), machine=private))
    assert refusal.value.message.startswith(text)


def test_shared_binds_make_the_root_shared() -> None:
    point = MountPoint(type="bind", source="/s", destination="/d", propagation="rshared")
    spec = build_spec(replace(container_of("plain"), mounts=(point,)), placement("plain"))
    assert spec["linux"]["rootfsPropagation"] == "shared"
    slave = replace(point, propagation="rslave")
    assert build_spec(replace(container_of("plain"), mounts=(slave,)), placement("plain"))["linux"]["rootfsPropagation"] == "rslave"


def test_another_containers_namespaces_are_joined_by_path() -> None:
    container = with_host("plain", network_mode="container:x", pid_mode="container:x", ipc_mode="container:x", init=True)
    with pytest.raises(ValueError, match="the caller must give the path of the network namespace"):
        build_spec(container, placement("plain"))
    joined = {kind: f"/proc/7/ns/{kind}" for kind in ("network", "pid", "ipc")}
    spec = build_spec(container, replace(placement("plain"), joined=joined, shm="/shm"))
    assert {n["type"]: n.get("path") for n in spec["linux"]["namespaces"]} == {"mount": None, "uts": None, **joined}
    assert spec["process"]["args"][0] == "sleep"  # that pid namespace has an init already
    assert spec["linux"]["sysctl"] == {}


def test_a_user_namespace_is_mapped() -> None:
    maps = (IdMap(0, 100000, 65536),)
    spec = build_spec(container_of("plain"), replace(placement("plain"), uid_map=maps, gid_map=maps))
    assert {"type": "user"} in spec["linux"]["namespaces"]
    assert spec["linux"]["uidMappings"] == spec["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert "net.ipv4.ping_group_range" not in spec["linux"]["sysctl"]


def test_systemd_names_a_scope() -> None:
    systemd = replace(machine(), cgroup_manager="systemd", cgroup_parent="")
    spec = build_spec(container_of("plain"), replace(placement("plain"), machine=systemd))
    assert spec["linux"]["cgroupsPath"] == f"system.slice:corten:{CONTAINER_ID}"


def test_daemon_ulimits_give_way_to_the_containers() -> None:
    limits = {"nofile": Ulimit(name="nofile", soft=1, hard=1), "nproc": Ulimit(name="nproc", soft=-1, hard=-1)}
    spec = build_spec(container_of("ulimits"), replace(placement("plain"), machine=replace(machine(), ulimits=limits)))
    unlimited = (1 << 64) - 1
    assert spec["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": unlimited, "hard": unlimited},
    ]


def test_an_exec_is_the_container_with_changes() -> None:
    request = ExecRequest(args=("id",), env=("B=9", "C=1"), user="bob", tty=True, console_size=(10, 20))
    process = build_exec(container_of("env"), request, placement("env"))
    assert process["user"] == {"uid": 1000, "gid": 1001, "additionalGids": [1001, 1, 10]}
    assert process["env"] == ["PATH=/bin:/x", "TERM=dumb", "A=1", "B=9", "C=1", "HOME=/home/bob"]
    assert process["cwd"] == "/"
    assert process["terminal"] is True
    assert process["consoleSize"] == {"height": 10, "width": 20}
    assert process["capabilities"]["bounding"] == GOLDEN_SPECS["plain"]["process"]["capabilities"]["bounding"]
    privileged = build_exec(container_of("env"), replace(request, privileged=True), placement("env"))
    assert privileged["capabilities"]["effective"] == HELD


def test_init_needs_a_program() -> None:
    with pytest.raises(EngineError, match="no init program"):
        build_spec(container_of("init"), replace(placement("init"), machine=replace(machine(), init_path="")))
