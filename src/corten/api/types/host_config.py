"""HostConfig on the wire, both ways: one struct reads what create sends and writes what inspect shows.

`UNSET` is the default of the fields that Docker leaves out of an answer when they are empty; read, it means "not said", like null.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from msgspec import UNSET, UnsetType, field, structs

from corten.api.types.mounts import MountBody, from_mount, to_mount
from corten.api.types.resources import (
    ResourcesBody,
    UlimitBody,
    WeightDeviceBody,
    from_device,
    from_device_request,
    from_throttles,
    to_resources,
)
from corten.api.wire import Int64, WireStruct
from corten.engine.values.container import HostConfig, LogConfig, PortBinding, Resources, RestartPolicy
from corten.errors import Invalid

_Policy = Literal["", "no", "always", "unless-stopped", "on-failure"]
_POLICIES: Final[tuple[_Policy, ...]] = ("", "no", "always", "unless-stopped", "on-failure")


class LogConfigBody(WireStruct, frozen=True, kw_only=True):
    type: str | None = None
    config: dict[str, str] | None = None


class RestartPolicyBody(WireStruct, frozen=True, kw_only=True):
    name: str | None = None
    maximum_retry_count: Int64 | None = None


class PortBindingBody(WireStruct, frozen=True, kw_only=True):
    host_ip: str | None = field(name="HostIp", default=None)
    host_port: str | None = None


PortBindings = dict[str, list[PortBindingBody] | None]


class HostConfigBody(ResourcesBody, frozen=True, kw_only=True):
    binds: list[str] | None = None
    container_id_file: str | None = None
    log_config: LogConfigBody | None = None
    network_mode: str | None = None
    port_bindings: PortBindings | None = None
    restart_policy: RestartPolicyBody | None = None
    auto_remove: bool | None = None
    volume_driver: str | None = None
    volumes_from: list[str] | None = None
    mounts: list[MountBody] | UnsetType | None = UNSET
    console_size: list[int] | None = None
    annotations: dict[str, str] | UnsetType | None = UNSET
    cap_add: str | list[str] | None = None
    cap_drop: str | list[str] | None = None
    cgroupns_mode: str | None = None
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str | None = None
    cgroup: str | None = None
    links: list[str] | None = None
    oom_score_adj: Int64 | None = None
    pid_mode: str | None = None
    privileged: bool | None = None
    publish_all_ports: bool | None = None
    readonly_rootfs: bool | None = None
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | UnsetType | None = UNSET
    tmpfs: dict[str, str] | UnsetType | None = UNSET
    uts_mode: str | None = None
    userns_mode: str | None = None
    shm_size: Int64 | None = None
    sysctls: dict[str, str] | UnsetType | None = UNSET
    runtime: str | None = None
    isolation: str | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | UnsetType | None = UNSET


def to_host_config(body: HostConfigBody) -> HostConfig:
    """Raises Invalid for what the value's type cannot hold. A `PidsLimit` of 0 or less means no limit."""
    log = body.log_config or LogConfigBody()
    resources = to_resources(body)
    if resources.pids_limit is not None and resources.pids_limit <= 0:
        resources = replace(resources, pids_limit=None)
    return HostConfig(
        binds=tuple(body.binds or ()),
        container_id_file=body.container_id_file or "",
        log_config=LogConfig(type=log.type or "", config=log.config or {}),
        network_mode=body.network_mode or "default",
        port_bindings=to_port_bindings(body.port_bindings),
        restart_policy=to_restart_policy(body.restart_policy),
        auto_remove=bool(body.auto_remove),
        volume_driver=body.volume_driver or "",
        volumes_from=tuple(body.volumes_from or ()),
        mounts=tuple(to_mount(mount) for mount in body.mounts or ()),
        console_size=_to_console_size(body.console_size),
        annotations=body.annotations or {},
        cap_add=string_list(body.cap_add),
        cap_drop=string_list(body.cap_drop),
        cgroupns_mode=body.cgroupns_mode or "",
        dns=tuple(body.dns or ()),
        dns_options=tuple(body.dns_options or ()),
        dns_search=tuple(body.dns_search or ()),
        extra_hosts=tuple(body.extra_hosts or ()),
        group_add=tuple(body.group_add or ()),
        ipc_mode=body.ipc_mode or "",
        cgroup=body.cgroup or "",
        links=tuple(body.links or ()),
        oom_score_adj=body.oom_score_adj or 0,
        pid_mode=body.pid_mode or "",
        privileged=bool(body.privileged),
        publish_all_ports=bool(body.publish_all_ports),
        readonly_rootfs=bool(body.readonly_rootfs),
        security_opt=tuple(body.security_opt or ()),
        storage_opt=body.storage_opt or {},
        tmpfs=body.tmpfs or {},
        uts_mode=body.uts_mode or "",
        userns_mode=body.userns_mode or "",
        shm_size=body.shm_size or 0,
        sysctls=body.sysctls or {},
        runtime=body.runtime or "",
        isolation=body.isolation or "",
        masked_paths=None if body.masked_paths is None else tuple(body.masked_paths),
        readonly_paths=None if body.readonly_paths is None else tuple(body.readonly_paths),
        init=body.init if isinstance(body.init, bool) else None,
        resources=resources,
    )


def to_restart_policy(body: RestartPolicyBody | None) -> RestartPolicy:
    """Nothing, and a policy without a name, mean "no". Raises Invalid for an unknown name."""
    if body is None or not body.name:
        return RestartPolicy(maximum_retry_count=body.maximum_retry_count or 0 if body else 0)
    for name in _POLICIES:
        if name == body.name:
            return RestartPolicy(name=name, maximum_retry_count=body.maximum_retry_count or 0)
    message = f"invalid restart policy: unknown policy '{body.name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    raise Invalid(message, reason="bad-restart-policy")


def to_port_bindings(body: PortBindings | None) -> dict[str, tuple[PortBinding, ...]]:
    return {
        port: tuple(PortBinding(host_ip=binding.host_ip or "", host_port=binding.host_port or "") for binding in bindings or ())
        for port, bindings in (body or {}).items()
    }


def from_port_bindings(ports: Mapping[str, tuple[PortBinding, ...]]) -> PortBindings:
    """A port that is exposed and not published has null."""
    return {
        port: [PortBindingBody(host_ip=binding.host_ip, host_port=binding.host_port) for binding in bindings] or None
        for port, bindings in ports.items()
    }


def string_list(value: str | list[str] | None) -> tuple[str, ...]:
    """Go's strslice: one string stands for a list of it."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _to_console_size(size: list[int] | None) -> tuple[int, int]:
    height, width = [*(size or ()), 0, 0][:2]
    return height, width


def from_host_config(host: HostConfig) -> HostConfigBody:
    """What inspect shows: every field said, except those that Docker leaves out when they are empty."""
    body = HostConfigBody(
        binds=list(host.binds) or None,
        container_id_file=host.container_id_file,
        log_config=LogConfigBody(type=host.log_config.type, config=host.log_config.config),
        network_mode=host.network_mode,
        port_bindings=from_port_bindings(host.port_bindings),
        restart_policy=RestartPolicyBody(name=host.restart_policy.name, maximum_retry_count=host.restart_policy.maximum_retry_count),
        auto_remove=host.auto_remove,
        volume_driver=host.volume_driver,
        volumes_from=list(host.volumes_from) or None,
        mounts=[from_mount(mount) for mount in host.mounts] or UNSET,
        console_size=list(host.console_size),
        annotations=host.annotations or UNSET,
        cap_add=list(host.cap_add) or None,
        cap_drop=list(host.cap_drop) or None,
        cgroupns_mode=host.cgroupns_mode,
        dns=list(host.dns),
        dns_options=list(host.dns_options),
        dns_search=list(host.dns_search),
        extra_hosts=list(host.extra_hosts) or None,
        group_add=list(host.group_add) or None,
        ipc_mode=host.ipc_mode,
        cgroup=host.cgroup,
        links=list(host.links) or None,
        oom_score_adj=host.oom_score_adj,
        pid_mode=host.pid_mode,
        privileged=host.privileged,
        publish_all_ports=host.publish_all_ports,
        readonly_rootfs=host.readonly_rootfs,
        security_opt=list(host.security_opt) or None,
        storage_opt=host.storage_opt or UNSET,
        tmpfs=host.tmpfs or UNSET,
        uts_mode=host.uts_mode,
        userns_mode=host.userns_mode,
        shm_size=host.shm_size,
        sysctls=host.sysctls or UNSET,
        runtime=host.runtime,
        isolation=host.isolation,
        masked_paths=None if host.masked_paths is None else list(host.masked_paths),
        readonly_paths=None if host.readonly_paths is None else list(host.readonly_paths),
        init=UNSET if host.init is None else host.init,
    )
    return _with_resources(body, host.resources)


def _with_resources(body: HostConfigBody, resources: Resources) -> HostConfigBody:
    return structs.replace(
        body,
        cpu_shares=resources.cpu_shares,
        memory=resources.memory,
        nano_cpus=resources.nano_cpus,
        cgroup_parent=resources.cgroup_parent,
        blkio_weight=resources.blkio_weight,
        blkio_weight_device=[WeightDeviceBody(path=device.path, weight=device.rate) for device in resources.blkio_weight_device],
        blkio_device_read_bps=from_throttles(resources.blkio_device_read_bps),
        blkio_device_write_bps=from_throttles(resources.blkio_device_write_bps),
        blkio_device_read_iops=from_throttles(resources.blkio_device_read_iops),
        blkio_device_write_iops=from_throttles(resources.blkio_device_write_iops),
        cpu_period=resources.cpu_period,
        cpu_quota=resources.cpu_quota,
        cpu_realtime_period=resources.cpu_realtime_period,
        cpu_realtime_runtime=resources.cpu_realtime_runtime,
        cpuset_cpus=resources.cpuset_cpus,
        cpuset_mems=resources.cpuset_mems,
        devices=[from_device(device) for device in resources.devices],
        device_cgroup_rules=list(resources.device_cgroup_rules) or None,
        device_requests=[from_device_request(request) for request in resources.device_requests] or None,
        memory_reservation=resources.memory_reservation,
        memory_swap=resources.memory_swap,
        memory_swappiness=resources.memory_swappiness,
        oom_kill_disable=resources.oom_kill_disable,
        pids_limit=resources.pids_limit,
        ulimits=[UlimitBody(name=limit.name, hard=limit.hard, soft=limit.soft) for limit in resources.ulimits],
        cpu_count=0,
        cpu_percent=0,
        io_maximum_iops=0,
        io_maximum_bandwidth=0,
    )
