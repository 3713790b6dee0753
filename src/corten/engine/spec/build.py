"""`build_spec`: a container as stored, plus where it is placed, as an OCI runtime spec (1.2); `build_exec`: a further process in it.

Nothing is started, mounted or written here. The result is plain JSON data that any OCI runtime takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corten.engine.spec import seccomp
from corten.engine.spec.bind_owner import owner_mappings, parse_bind_owner
from corten.engine.spec.capabilities import container_capabilities
from corten.engine.spec.devices import default_rules, mapped_devices, parse_cgroup_rules, privileged_devices
from corten.engine.spec.environment import container_environment, replace_or_append
from corten.engine.spec.masked_paths import READ_ONLY, masked_paths
from corten.engine.spec.mounts import INIT_PATH, container_mounts
from corten.engine.spec.namespaces import (
    check_sysctls,
    container_namespaces,
    default_sysctls,
    id_mappings,
    is_container_mode,
)
from corten.engine.spec.placement import Machine, Placement
from corten.engine.spec.resources import linux_resources
from corten.engine.spec.security import BUILTIN, UNCONFINED, SecurityOptions, parse_security_options
from corten.engine.spec.users import ResolvedUser, resolve_user
from corten.engine.values.container import Container, HostConfig, Ulimit
from corten.errors import EngineError

OCI_VERSION = "1.2.1"
Spec = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """A further process. "" and () mean "as the container's own"; `env` comes over the container's."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    cwd: str = ""
    tty: bool = False
    privileged: bool = False
    console_size: tuple[int, int] = (0, 0)


def build_spec(container: Container, placement: Placement) -> Spec:
    """The config.json of one start.

    Raises Invalid or EngineError with the text that Docker's start gives: an unknown user, device or propagation, a bad tmpfs
    option, a sysctl out of reach, a seccomp profile that is none.
    """
    config, host, machine = container.config, container.host, placement.machine
    security = parse_security_options(host.security_opt, machine.security)
    capabilities = _capabilities(host, machine)
    writable_cgroups = host.privileged if security.writable_cgroups is None else security.writable_cgroups
    mounts, root_propagation = container_mounts(container, placement, writable_cgroups=writable_cgroups)
    process = _process(container, placement, capabilities, security)
    _own_binds(container, mounts, (process["user"]["uid"], process["user"]["gid"]))
    if _wants_init(host, machine):
        process["args"] = [INIT_PATH, "--", *process["args"]]
        mounts.append({"destination": INIT_PATH, "type": "bind", "source": machine.init_path, "options": ["bind", "ro"]})
    spec: Spec = {
        "ociVersion": OCI_VERSION,
        "process": process,
        "root": {"path": placement.root, "readonly": host.readonly_rootfs},
        "mounts": mounts,
        "linux": _linux(container, placement, security, capabilities),
    }
    if host.uts_mode != "host":
        spec["hostname"] = config.hostname
    if host.annotations:
        spec["annotations"] = dict(host.annotations)
    if root_propagation:
        spec["linux"]["rootfsPropagation"] = root_propagation
    return spec


def _own_binds(container: Container, mounts: list[dict[str, Any]], user: tuple[int, int]) -> None:
    """What the host's user asked to stay his own: binds, not volumes and not the engine's files."""
    owner = parse_bind_owner(container.host.annotations)
    if owner is None:
        return
    binds = {point.destination for point in container.mounts if point.type == "bind"}
    for mount in mounts:
        if mount["destination"] in binds:
            mount.update(owner_mappings(owner, user))


def build_exec(container: Container, request: ExecRequest, placement: Placement) -> dict[str, Any]:
    """The OCI `process` of an exec. Raises as `build_spec` does."""
    config, host, machine = container.config, container.host, placement.machine
    security = parse_security_options(host.security_opt, machine.security)
    names = list(machine.capabilities) if request.privileged else _capabilities(host, machine)
    user = resolve_user(request.user or config.user, placement.read_file("/etc/passwd"), placement.read_file("/etc/group"), host.group_add)
    own = replace_or_append(config.env, request.env)
    env = container_environment(config.hostname, own, tty=request.tty, home=user.home, links=placement.link_env)
    return (
        _process_of(
            user,
            args=list(request.args),
            env=env,
            cwd=request.cwd or config.working_dir or "/",
            capabilities=names,
            no_new_privileges=security.no_new_privileges,
        )
        | _terminal(request.tty, request.console_size)
        | _rlimits(host, machine)
    )


def _process(container: Container, placement: Placement, capabilities: list[str], security: SecurityOptions) -> dict[str, Any]:
    config, host, machine = container.config, container.host, placement.machine
    user = resolve_user(config.user, placement.read_file("/etc/passwd"), placement.read_file("/etc/group"), host.group_add)
    process = _process_of(
        user,
        args=[container.path, *container.args],
        env=container_environment(config.hostname, config.env, tty=config.tty, home=user.home, links=placement.link_env),
        cwd=config.working_dir or "/",
        capabilities=capabilities,
        no_new_privileges=security.no_new_privileges,
    )
    process["oomScoreAdj"] = host.oom_score_adj
    if machine.has_apparmor and security.apparmor and not host.privileged:
        process["apparmorProfile"] = security.apparmor
    return process | _terminal(config.tty, host.console_size) | _rlimits(host, machine)


def _process_of(
    user: ResolvedUser, *, args: list[str], env: list[str], cwd: str, capabilities: list[str], no_new_privileges: bool
) -> dict[str, Any]:
    return {
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": args,
        "env": env,
        "cwd": cwd,
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        "noNewPrivileges": no_new_privileges,
    }


def _terminal(tty: bool, size: tuple[int, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"terminal": tty}
    if tty and any(size):
        found["consoleSize"] = {"height": size[0], "width": size[1]}
    return found


def _rlimits(host: HostConfig, machine: Machine) -> dict[str, Any]:
    asked = {limit.name.lower(): limit for limit in host.resources.ulimits}
    limits: Sequence[Ulimit] = [*asked.values(), *(limit for name, limit in machine.ulimits.items() if name.lower() not in asked)]
    return {"rlimits": [_rlimit(limit) for limit in limits]} if limits else {}


def _rlimit(limit: Ulimit) -> dict[str, Any]:
    """-1 is "no limit": the largest unsigned number, as the OCI spec writes it."""
    return {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft % (1 << 64), "hard": limit.hard % (1 << 64)}


def _capabilities(host: HostConfig, machine: Machine) -> list[str]:
    return container_capabilities(host.cap_add, host.cap_drop, privileged=host.privileged, available=machine.capabilities)


def _wants_init(host: HostConfig, machine: Machine) -> bool:
    """Only in a pid namespace of its own: another one has an init already."""
    is_private = host.pid_mode != "host" and not is_container_mode(host.pid_mode)
    wanted = machine.init if host.init is None else host.init
    if wanted and is_private and not machine.init_path:
        raise EngineError("--init: this installation has no init program", reason="no-init", hint=f"none is built for {machine.arch}")
    return wanted and is_private


def _linux(container: Container, placement: Placement, security: SecurityOptions, capabilities: list[str]) -> dict[str, Any]:
    host, machine = container.host, placement.machine
    has_user_namespace = bool(placement.uid_map)
    namespaces = container_namespaces(host, placement.joined, has_user_namespace=has_user_namespace)
    check_sysctls(host.sysctls, namespaces)
    devices, rules = _devices(host, machine)
    found: dict[str, Any] = {
        "namespaces": namespaces,
        "cgroupsPath": cgroups_path(container, machine),
        "resources": {"devices": rules, **linux_resources(host.resources, machine.device_number)},
        "sysctl": default_sysctls(host, container.config.domainname, has_user_namespace=has_user_namespace) | host.sysctls,
        **_system_paths(host, security),
    }
    if has_user_namespace:
        found["uidMappings"], found["gidMappings"] = id_mappings(placement.uid_map), id_mappings(placement.gid_map)
    if devices:
        found["devices"] = devices
    profile = _seccomp(host, machine, security, capabilities)
    if profile is not None:
        found["seccomp"] = profile
    return found


def _system_paths(host: HostConfig, security: SecurityOptions) -> dict[str, list[str]]:
    if host.privileged or security.unconfined_system_paths:
        return {"maskedPaths": list(host.masked_paths or ()), "readonlyPaths": list(host.readonly_paths or ())}
    masked = masked_paths() if host.masked_paths is None else list(host.masked_paths)
    return {"maskedPaths": masked, "readonlyPaths": list(READ_ONLY if host.readonly_paths is None else host.readonly_paths)}


def _devices(host: HostConfig, machine: Machine) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    resources = host.resources
    if host.privileged:
        return privileged_devices(resources.devices, machine.devices), [{"allow": True, "access": "rwm"}]
    nodes, rules = mapped_devices(resources.devices, machine.devices)
    return nodes, [*default_rules(), *rules, *parse_cgroup_rules(resources.device_cgroup_rules)]


def _seccomp(host: HostConfig, machine: Machine, security: SecurityOptions, capabilities: list[str]) -> dict[str, Any] | None:
    wanted = security.seccomp or ("" if host.privileged else machine.seccomp_profile)
    if wanted == UNCONFINED or (host.privileged and not wanted):
        return None
    if not machine.has_seccomp:
        if wanted and wanted != BUILTIN:
            text = "seccomp is not enabled in your kernel, cannot run a custom seccomp profile"
            raise EngineError(text, reason="no-seccomp")
        return None
    if not wanted or wanted == BUILTIN:
        return seccomp.default_profile(capabilities, machine.arch)
    return seccomp.load_profile(wanted, capabilities, machine.arch, machine.kernel)


def cgroups_path(container: Container, machine: Machine) -> str:
    """`/corten/<id>`, or `system.slice:corten:<id>` with systemd; below `--cgroup-parent` where one is given."""
    parent = container.host.resources.cgroup_parent or machine.cgroup_parent
    if machine.cgroup_manager == "systemd":
        return f"{parent or 'system.slice'}:corten:{container.id}"
    return f"/{(parent or 'corten').strip('/')}/{container.id}"
