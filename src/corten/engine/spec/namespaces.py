"""Which namespaces a container gets, joins, or leaves to the host, and which sysctls that allows."""

from collections.abc import Mapping
from typing import Any

from corten.engine.values.container import HostConfig
from corten.errors import Invalid

_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"]
)
_CONTAINER = "container:"


def is_container_mode(mode: str) -> bool:
    """`container:ID`: the namespace of another container."""
    return mode.startswith(_CONTAINER)


def joined_container(mode: str) -> str:
    """The name or id in `container:ID`, "" for any other mode."""
    return mode[len(_CONTAINER) :] if is_container_mode(mode) else ""


def container_namespaces(host: HostConfig, joined: Mapping[str, str], *, has_user_namespace: bool) -> list[dict[str, str]]:
    """OCI `linux.namespaces` in Docker's order. A namespace that is to be another container's must have its path in `joined`."""
    modes = {
        "mount": "",
        "network": host.network_mode,
        "uts": host.uts_mode,
        "pid": host.pid_mode,
        "ipc": host.ipc_mode,
        "cgroup": host.cgroupns_mode or "host",
    }
    found = []
    for kind, mode in modes.items():
        path = joined.get(kind, "")
        if mode == "host" and not path:
            continue
        if is_container_mode(mode) and not path:
            raise ValueError(f"the caller must give the path of the {kind} namespace for {mode!r}")
        found.append({"type": kind, "path": path} if path else {"type": kind})
    if "user" in joined:
        found.append({"type": "user", "path": joined["user"]})
    elif has_user_namespace:
        found.append({"type": "user"})
    return found


def default_sysctls(host: HostConfig, domainname: str, *, has_user_namespace: bool) -> dict[str, str]:
    """With a network namespace of its own a container may ping and use low ports without a capability."""
    found: dict[str, str] = {}
    if domainname:
        found["kernel.domainname"] = domainname
    if host.network_mode != "host" and not is_container_mode(host.network_mode):
        found["net.ipv4.ip_unprivileged_port_start"] = "0"
        if not has_user_namespace:
            found["net.ipv4.ping_group_range"] = "0 2147483647"
    return found


def check_sysctls(sysctls: Mapping[str, str], namespaces: list[dict[str, str]]) -> None:
    """Raises Invalid, in runc's words, for a sysctl that would reach beyond the container."""
    kinds = {namespace["type"] for namespace in namespaces}
    for name in sysctls:
        problem = _sysctl_problem(name.replace("/", "."), kinds)
        if problem:
            raise Invalid(f'sysctl "{name}" {problem}', reason="sysctl-not-allowed")


def _sysctl_problem(name: str, kinds: set[str]) -> str:
    if name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
        return "" if "ipc" in kinds else "is not allowed in the hosts ipc namespace"
    if name.startswith("net."):
        return "" if "network" in kinds else "not allowed in host network namespace"
    if name == "kernel.domainname" and "uts" in kinds:
        return ""
    if name == "kernel.hostname" and "uts" in kinds:
        return 'is not allowed as it conflicts with the OCI "hostname" field'
    return "is not in a separate kernel namespace"


def id_mappings(maps: tuple[Any, ...]) -> list[dict[str, int]]:
    """`IdMap`s in the OCI form."""
    return [{"containerID": m.container_id, "hostID": m.host_id, "size": m.size} for m in maps]
