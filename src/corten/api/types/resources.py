"""Limits on the wire: the part of HostConfig that `update` can also send."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType, field

from corten.api.wire import Int64, WireStruct
from corten.engine.values.container import DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit


class WeightDeviceBody(WireStruct, frozen=True, kw_only=True):
    path: str | None = None
    weight: Int64 | None = None


class ThrottleDeviceBody(WireStruct, frozen=True, kw_only=True):
    path: str | None = None
    rate: Int64 | None = None


class DeviceBody(WireStruct, frozen=True, kw_only=True):
    path_on_host: str | None = None
    path_in_container: str | None = None
    cgroup_permissions: str | None = None


class DeviceRequestBody(WireStruct, frozen=True, kw_only=True):
    driver: str | None = None
    count: Int64 | None = None
    device_ids: list[str] | None = field(name="DeviceIDs", default=None)
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class UlimitBody(WireStruct, frozen=True, kw_only=True):
    name: str | None = None
    hard: Int64 | None = None
    soft: Int64 | None = None


class ResourcesBody(WireStruct, frozen=True, kw_only=True):
    cpu_shares: Int64 | None = None
    memory: Int64 | None = None
    nano_cpus: Int64 | None = None
    cgroup_parent: str | None = None
    blkio_weight: Int64 | None = None
    blkio_weight_device: list[WeightDeviceBody] | None = None
    blkio_device_read_bps: list[ThrottleDeviceBody] | None = None
    blkio_device_write_bps: list[ThrottleDeviceBody] | None = None
    blkio_device_read_iops: list[ThrottleDeviceBody] | None = field(name="BlkioDeviceReadIOps", default=None)
    blkio_device_write_iops: list[ThrottleDeviceBody] | None = field(name="BlkioDeviceWriteIOps", default=None)
    cpu_period: Int64 | None = None
    cpu_quota: Int64 | None = None
    cpu_realtime_period: Int64 | None = None
    cpu_realtime_runtime: Int64 | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    devices: list[DeviceBody] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequestBody] | None = None
    kernel_memory: Int64 | UnsetType | None = UNSET  # ignored: the kernel has dropped it
    kernel_memory_tcp: Int64 | UnsetType | None = field(name="KernelMemoryTCP", default=UNSET)
    memory_reservation: Int64 | None = None
    memory_swap: Int64 | None = None
    memory_swappiness: Int64 | None = None
    oom_kill_disable: bool | None = None
    pids_limit: Int64 | None = None
    ulimits: list[UlimitBody] | None = None
    cpu_count: Int64 | None = None  # this and what follows: Windows
    cpu_percent: Int64 | None = None
    io_maximum_iops: Int64 | None = field(name="IOMaximumIOps", default=None)
    io_maximum_bandwidth: Int64 | None = field(name="IOMaximumBandwidth", default=None)


def to_resources(body: ResourcesBody) -> Resources:
    """-1 as swappiness means the kernel's own, as clients of before 1.24 sent it."""
    swappiness = body.memory_swappiness
    return Resources(
        cpu_shares=body.cpu_shares or 0,
        memory=body.memory or 0,
        nano_cpus=body.nano_cpus or 0,
        cgroup_parent=body.cgroup_parent or "",
        blkio_weight=body.blkio_weight or 0,
        blkio_weight_device=tuple(ThrottleDevice(path=d.path or "", rate=d.weight or 0) for d in body.blkio_weight_device or ()),
        blkio_device_read_bps=_to_throttles(body.blkio_device_read_bps),
        blkio_device_write_bps=_to_throttles(body.blkio_device_write_bps),
        blkio_device_read_iops=_to_throttles(body.blkio_device_read_iops),
        blkio_device_write_iops=_to_throttles(body.blkio_device_write_iops),
        cpu_period=body.cpu_period or 0,
        cpu_quota=body.cpu_quota or 0,
        cpu_realtime_period=body.cpu_realtime_period or 0,
        cpu_realtime_runtime=body.cpu_realtime_runtime or 0,
        cpuset_cpus=body.cpuset_cpus or "",
        cpuset_mems=body.cpuset_mems or "",
        devices=tuple(_to_device(device) for device in body.devices or ()),
        device_cgroup_rules=tuple(body.device_cgroup_rules or ()),
        device_requests=tuple(_to_device_request(request) for request in body.device_requests or ()),
        memory_reservation=body.memory_reservation or 0,
        memory_swap=body.memory_swap or 0,
        memory_swappiness=None if swappiness == -1 else swappiness,
        oom_kill_disable=body.oom_kill_disable,
        pids_limit=body.pids_limit,
        ulimits=tuple(Ulimit(name=u.name or "", soft=u.soft or 0, hard=u.hard or 0) for u in body.ulimits or ()),
    )


def _to_throttles(devices: list[ThrottleDeviceBody] | None) -> tuple[ThrottleDevice, ...]:
    return tuple(ThrottleDevice(path=device.path or "", rate=device.rate or 0) for device in devices or ())


def _to_device(body: DeviceBody) -> DeviceMapping:
    return DeviceMapping(
        path_on_host=body.path_on_host or "",
        path_in_container=body.path_in_container or body.path_on_host or "",
        cgroup_permissions=body.cgroup_permissions or "rwm",
    )


def _to_device_request(body: DeviceRequestBody) -> DeviceRequest:
    return DeviceRequest(
        driver=body.driver or "",
        count=body.count or 0,
        device_ids=tuple(body.device_ids or ()),
        capabilities=tuple(tuple(names) for names in body.capabilities or ()),
        options=body.options,
    )


def from_throttles(devices: Sequence[ThrottleDevice]) -> list[ThrottleDeviceBody]:
    return [ThrottleDeviceBody(path=device.path, rate=device.rate) for device in devices]


def from_device(device: DeviceMapping) -> DeviceBody:
    return DeviceBody(
        path_on_host=device.path_on_host, path_in_container=device.path_in_container, cgroup_permissions=device.cgroup_permissions
    )


def from_device_request(request: DeviceRequest) -> DeviceRequestBody:
    return DeviceRequestBody(
        driver=request.driver,
        count=request.count,
        device_ids=list(request.device_ids) or None,
        capabilities=[list(names) for names in request.capabilities] or None,
        options=request.options,
    )
