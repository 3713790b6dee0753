"""Containers as the Engine API's create bodies, and the reader that makes our values of them. Docker's answers: golden.json."""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

from corten.engine.values.container import Container, ContainerConfig, HostConfig, MountPoint, Resources
from corten.ids import ContainerId, ImageId

CONTAINER_ID = "0123456789abcdef" * 4
RECORDED_ON = "vm"
GOLDEN = Path(__file__).with_name("golden.json")

PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/false\nbob:x:1000:1001::/home/bob:/bin/sh\n"
GROUP = "root:x:0:\ndaemon:x:1:bob\nwheel:x:10:root,bob\naudio:x:29:\nbob:x:1001:\n"

BODIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "caps": {"HostConfig": {"CapAdd": ["sys_admin", "CAP_NET_ADMIN"], "CapDrop": ["MKNOD", "chown"]}},
    "caps-drop-all": {"HostConfig": {"CapDrop": ["ALL"], "CapAdd": ["CHOWN"]}},
    "caps-add-all": {"HostConfig": {"CapAdd": ["ALL"], "CapDrop": ["SYS_ADMIN"]}},
    "privileged": {"HostConfig": {"Privileged": True}},
    "user-name": {"User": "bob"},
    "user-number": {"User": "1000"},
    "user-unlisted": {"User": "4321"},
    "user-group": {"User": "bob:wheel"},
    "user-numbers": {"User": "12:34", "HostConfig": {"GroupAdd": ["audio", "99"]}},
    "env": {"Env": ["A=1", "PATH=/bin:/x", "TERM=dumb", "HOSTNAME", "B=2=3"], "Tty": True, "HostConfig": {"ConsoleSize": [30, 100]}},
    "workdir": {"WorkingDir": "/etc", "Entrypoint": ["/bin/sleep"], "Cmd": ["1000"], "Hostname": "box", "Domainname": "example.org"},
    "memory": {"HostConfig": {"Memory": 64 << 20, "MemoryReservation": 32 << 20, "MemorySwap": 96 << 20, "MemorySwappiness": 10}},
    "memory-alone": {"HostConfig": {"Memory": 64 << 20}},
    "cpu": {"HostConfig": {"CpuShares": 512, "CpuQuota": 50000, "CpuPeriod": 200000, "CpusetCpus": "0", "CpusetMems": "0"}},
    "cpus": {"HostConfig": {"NanoCpus": 1_500_000_000}},
    "pids": {"HostConfig": {"PidsLimit": 50}},
    "ulimits": {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}, {"Name": "core", "Soft": 0, "Hard": 0}]}},
    "sysctls": {
        "HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1000", "net.ipv4.ip_unprivileged_port_start": "9"}}
    },
    "read-only": {"HostConfig": {"ReadonlyRootfs": True, "Tmpfs": {"/run": "size=64m,exec", "/tmp": ""}, "Binds": ["/etc:/hostetc"]}},
    "binds": {"HostConfig": {"Binds": ["/etc:/b/rw", "/etc:/b/ro:ro", "/usr:/b/private:ro,private", "/etc/hostname:/a"]}},
    "mounts": {
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": "/etc", "Target": "/m/flat", "BindOptions": {"NonRecursive": True}},
                {"Type": "bind", "Source": "/usr", "Target": "/m/ro", "ReadOnly": True, "BindOptions": {"ReadOnlyNonRecursive": True}},
                {"Type": "tmpfs", "Target": "/m/tmp", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
                {"Type": "tmpfs", "Target": "/m/tmp2", "ReadOnly": True},
            ]
        }
    },
    "own-dev": {"HostConfig": {"Binds": ["/dev:/dev"]}},
    "devices": {
        "HostConfig": {
            "Devices": [
                {"PathOnHost": "/dev/null", "PathInContainer": "/dev/xnull", "CgroupPermissions": "r"},
                {"PathOnHost": "/dev/spec-dir", "PathInContainer": "/dev/there", "CgroupPermissions": "rw"},
                {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/xzero", "CgroupPermissions": "rwm"},
            ],
            "DeviceCgroupRules": ["c 42:* rmw", "b 7:0 r", "a *:* m"],
        }
    },
    "host-namespaces": {"HostConfig": {"PidMode": "host", "IpcMode": "host", "UTSMode": "host", "NetworkMode": "host"}},
    "host-network": {"HostConfig": {"NetworkMode": "host"}},
    "ipc-none": {"HostConfig": {"IpcMode": "none"}},
    "ipc-shareable": {"HostConfig": {"IpcMode": "shareable", "ShmSize": 1 << 20}},
    "cgroup": {"HostConfig": {"CgroupParent": "/spec/parent", "CgroupnsMode": "private"}},
    "security": {
        "HostConfig": {
            "SecurityOpt": ["seccomp=unconfined", "no-new-privileges:true", "label=disable"],
            "MaskedPaths": [],
            "ReadonlyPaths": ["/proc/sys"],
        }
    },
    "no-network": {"HostConfig": {"NetworkMode": "none"}},
    "init": {"HostConfig": {"Init": True}},
    "odds": {"HostConfig": {"OomScoreAdj": 500, "Annotations": {"a.b": "c"}, "ShmSize": 123 << 20, "BlkioWeight": 0}},
}


def container_of(name: str, points: tuple[MountPoint, ...] = ()) -> Container:
    """The stored container that `BODIES[name]` leads to, with the defaults that create fills in on cgroup v1."""
    body = dict(BODIES[name])
    defaults = {"ShmSize": 64 << 20, "IpcMode": "private", "CgroupnsMode": "host", "OomKillDisable": False, "NetworkMode": "bridge"}
    host_body: dict[str, Any] = defaults | body.pop("HostConfig", {})
    if host_body.get("Memory") and not host_body.get("MemorySwap"):
        host_body["MemorySwap"] = 2 * host_body["Memory"]
    argv: list[str] = [*body.get("Entrypoint", ()), *body.get("Cmd", ("sleep", "1000"))]
    resources = _read(Resources, host_body)
    host = dataclasses.replace(_read(HostConfig, host_body), resources=resources)
    hostname = RECORDED_ON if host.network_mode == "host" else CONTAINER_ID[:12]
    config = _read(ContainerConfig, {"Hostname": hostname} | body)
    return Container(
        id=ContainerId(CONTAINER_ID),
        name=name,
        created=0,
        image_id=ImageId(""),
        image_ref="spec-bb",
        path=argv[0],
        args=tuple(argv[1:]),
        config=config,
        host=host,
        mounts=points,
    )


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _read(kind: Any, body: dict[str, Any]) -> Any:
    """A value of dataclass `kind` from wire names; what `kind` lacks is left out, bind and tmpfs options are flattened."""
    flat = dict(body)
    for group, prefix in (("BindOptions", ""), ("TmpfsOptions", "tmpfs")):
        flat |= {prefix + key.replace("SizeBytes", "size"): value for key, value in flat.pop(group, {}).items()}
    wire = {_fold(key): value for key, value in flat.items()}
    hints = typing.get_type_hints(kind)
    found = {f.name: _convert(hints[f.name], wire[_fold(f.name)]) for f in dataclasses.fields(kind) if _fold(f.name) in wire}
    return kind(**found)


def _convert(hint: Any, value: Any) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(h for h in typing.get_args(hint) if h is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return _read(hint, value)
    if typing.get_origin(hint) is tuple:
        return tuple(_convert(typing.get_args(hint)[0], item) for item in value)
    return value
