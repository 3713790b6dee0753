"""What a start knows besides the container: paths the caller prepared, and facts of this machine and daemon."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from corten.engine.spec.devices import Probe, host_devices
from corten.engine.spec.resources import DeviceNumber, device_number
from corten.engine.spec.security import SecurityOptions
from corten.engine.values.container import Ulimit
from corten.kernel.caps import CAPS
from corten.kernel.cgroup.support import LIMITS


class IdMap(NamedTuple):
    """One line of a user namespace's mapping."""

    container_id: int
    host_id: int
    size: int


def _no_file(path: str) -> str:
    return ""


def _own_mountinfo() -> str:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return lines.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts that hold for every container of this daemon.

    `capabilities`: those the engine holds itself (`CAP_...`, kernel order); `limits`: what can be limited here. `ulimits`,
    `security`, `seccomp_profile` ("" = built-in, "unconfined", or JSON text), `init` and `cgroup_parent` are the daemon's defaults.
    `init_path` is the host's path of the small init that `--init` binds into the container.
    """

    arch: str = field(default_factory=platform.machine)
    kernel: str = field(default_factory=platform.release)
    cgroup_version: int = 2
    cgroup_manager: str = "cgroupfs"
    cgroup_parent: str = ""
    capabilities: Sequence[str] = tuple(CAPS)
    limits: frozenset[str] = LIMITS
    ulimits: Mapping[str, Ulimit] = field(default_factory=dict)
    security: SecurityOptions = field(default_factory=SecurityOptions)
    seccomp_profile: str = ""
    has_seccomp: bool = True
    has_apparmor: bool = False
    has_recursive_read_only: bool = True
    init: bool = False
    init_path: str = ""
    devices: Probe = host_devices
    device_number: DeviceNumber = device_number
    mountinfo: Callable[[], str] = _own_mountinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What holds for this one start.

    `root` is the bundle-relative or absolute path where the root file system will stand. `joined` maps an OCI namespace type
    (network, ipc, pid, uts, cgroup, user) to the path of an existing namespace: the network namespace that the engine prepared,
    or those of the container that `container:ID` names. `shm` is a host directory for /dev/shm where it is shared (ipc modes
    shareable, host, container:ID); "" = a tmpfs of its own. `sources`: host paths to bind at destinations whose mount point has
    to be prepared for each run (images, parts of volumes). The three files are bound over those in /etc; "" = not bound.
    `read_file` returns the text of a file of the container's root by absolute path, "" where there is none; it must resolve
    the path inside that root. `link_env`: variables of linked containers. `uid_map`/`gid_map`: a user namespace of its own; empty = none.
    """

    machine: Machine
    root: str = "rootfs"
    joined: Mapping[str, str] = field(default_factory=dict)
    shm: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    hostname_file: str = ""
    hosts_file: str = ""
    resolv_conf_file: str = ""
    read_file: Callable[[str], str] = _no_file
    link_env: Sequence[str] = ()
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()
