"""Container bodies between the wire and the engine, both ways."""

from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.api.types.container_config import ContainerConfigBody, from_config, to_config
from corten.api.types.containers import CreateBody
from corten.api.types.host_config import HostConfigBody, from_host_config, to_host_config
from corten.api.wire import decode, encode
from corten.engine.values.container import (
    ContainerConfig,
    DeviceMapping,
    DeviceRequest,
    HealthCheck,
    HostConfig,
    LogConfig,
    MountRequest,
    PortBinding,
    Resources,
    RestartPolicy,
    ThrottleDevice,
    Ulimit,
)
from corten.errors import Invalid

RESOURCES = Resources(
    cpu_shares=1,
    memory=2,
    nano_cpus=3,
    cgroup_parent="p",
    blkio_weight=4,
    blkio_weight_device=(ThrottleDevice(path="/dev/a", rate=1),),
    blkio_device_read_bps=(ThrottleDevice(path="/dev/a", rate=2),),
    blkio_device_write_bps=(ThrottleDevice(path="/dev/a", rate=3),),
    blkio_device_read_iops=(ThrottleDevice(path="/dev/a", rate=4),),
    blkio_device_write_iops=(ThrottleDevice(path="/dev/a", rate=5),),
    cpu_period=5,
    cpu_quota=6,
    cpu_realtime_period=7,
    cpu_realtime_runtime=8,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    devices=(DeviceMapping(path_on_host="/dev/a", path_in_container="/dev/b", cgroup_permissions="r"),),
    device_cgroup_rules=("c 1:3 rwm",),
    device_requests=(DeviceRequest(driver="nvidia", count=-1, capabilities=(("gpu",),), options={"a": "b"}),),
    memory_reservation=9,
    memory_swap=10,
    memory_swappiness=11,
    oom_kill_disable=True,
    pids_limit=12,
    ulimits=(Ulimit(name="nofile", soft=1, hard=2),),
)

MOUNTS = (
    MountRequest(type="bind", target="/a", source="/b", read_only=True, propagation="rslave", non_recursive=True, create_mountpoint=True),
    MountRequest(
        type="bind", target="/a2", source="/b", read_only_non_recursive=True, read_only_force_recursive=True, consistency="cached"
    ),
    MountRequest(
        type="volume", target="/c", source="v", no_copy=True, labels={"l": "m"}, driver="local", driver_options={"o": "p"}, subpath="s"
    ),
    MountRequest(type="tmpfs", target="/d", tmpfs_size=1, tmpfs_mode=0o1777, tmpfs_options=(("noexec",), ("a", "b"))),
    MountRequest(type="image", target="/e", source="i", subpath="s"),
)

HOST = HostConfig(
    binds=("/a:/b:ro",),
    container_id_file="f",
    log_config=LogConfig(type="json-file", config={"max-size": "1m"}),
    network_mode="host",
    port_bindings={"80/tcp": (PortBinding(host_ip="::", host_port="8080"), PortBinding()), "90/udp": ()},
    restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=3),
    auto_remove=True,
    volume_driver="local",
    volumes_from=("x:ro",),
    mounts=MOUNTS,
    console_size=(24, 80),
    annotations={"k": "v"},
    cap_add=("NET_ADMIN",),
    cap_drop=("ALL",),
    cgroupns_mode="private",
    dns=("1.1.1.1",),
    dns_options=("ndots:1",),
    dns_search=("x",),
    extra_hosts=("a:1.2.3.4",),
    group_add=("5",),
    ipc_mode="private",
    cgroup="c",
    links=("a:b",),
    oom_score_adj=-5,
    pid_mode="host",
    privileged=True,
    publish_all_ports=True,
    readonly_rootfs=True,
    security_opt=("no-new-privileges",),
    storage_opt={"size": "1G"},
    tmpfs={"/t": "size=1m"},
    uts_mode="host",
    userns_mode="host",
    shm_size=5,
    sysctls={"a": "b"},
    runtime="corten",
    isolation="default",
    masked_paths=(),
    readonly_paths=("/proc/sys",),
    init=False,
    resources=RESOURCES,
)

CONFIG = ContainerConfig(
    hostname="h",
    domainname="d",
    user="u",
    attach_stdin=True,
    attach_stdout=True,
    attach_stderr=True,
    exposed_ports=("80/tcp",),
    tty=True,
    open_stdin=True,
    stdin_once=True,
    env=("A=b",),
    cmd=(),
    args_escaped=True,
    entrypoint=("sh", "-c"),
    healthcheck=HealthCheck(test=("CMD", "x"), interval=1, timeout=2, start_period=3, start_interval=4, retries=5),
    image="i",
    volumes=("/v",),
    working_dir="/w",
    network_disabled=True,
    mac_address="02:00:00:00:00:01",
    on_build=("RUN x",),
    labels={"l": "m"},
    stop_signal="USR1",
    stop_timeout=0,
    shell=("bash",),
)


def through_host(value: HostConfig) -> HostConfig:
    return to_host_config(decode(HostConfigBody, encode(from_host_config(value))))


def through_config(value: ContainerConfig) -> ContainerConfig:
    return to_config(decode(ContainerConfigBody, encode(from_config(value))))


def test_the_samples_say_something_for_every_field() -> None:
    for sample, empty in ((HOST, HostConfig()), (RESOURCES, Resources()), (CONFIG, ContainerConfig())):
        silent = [f.name for f in fields(sample) if getattr(sample, f.name) == getattr(empty, f.name)]
        assert silent == []


def test_host_config_survives_the_wire() -> None:
    assert through_host(HOST) == HOST
    assert through_host(HostConfig()) == HostConfig()


def test_config_survives_the_wire() -> None:
    assert through_config(CONFIG) == CONFIG
    assert through_config(ContainerConfig()) == ContainerConfig()


@given(st.builds(Resources, memory=st.integers(0, 2**63 - 1), pids_limit=st.none() | st.integers(1, 99), cpuset_cpus=st.text(max_size=5)))
def test_limits_survive_the_wire(resources: Resources) -> None:
    assert through_host(replace(HOST, resources=resources)).resources == resources


def test_docker_s_names_are_what_inspect_shows() -> None:
    """The keys of `HostConfig` and `Config` in an inspect of Docker 28.5, as it shows them for a plain container."""
    host = msgspec.to_builtins(from_host_config(HostConfig()))
    assert set(host) == PLAIN_HOST_KEYS
    config = msgspec.to_builtins(from_config(ContainerConfig()))
    assert set(config) == PLAIN_CONFIG_KEYS
    assert set(msgspec.to_builtins(from_host_config(HOST))) >= HOST_EXTRAS


PLAIN_HOST_KEYS = {
    "Binds",
    "ContainerIDFile",
    "LogConfig",
    "NetworkMode",
    "PortBindings",
    "RestartPolicy",
    "AutoRemove",
    "VolumeDriver",
    "VolumesFrom",
    "ConsoleSize",
    "CapAdd",
    "CapDrop",
    "CgroupnsMode",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "IpcMode",
    "Cgroup",
    "Links",
    "OomScoreAdj",
    "PidMode",
    "Privileged",
    "PublishAllPorts",
    "ReadonlyRootfs",
    "SecurityOpt",
    "UTSMode",
    "UsernsMode",
    "ShmSize",
    "Runtime",
    "Isolation",
    "CpuShares",
    "Memory",
    "NanoCpus",
    "CgroupParent",
    "BlkioWeight",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetCpus",
    "CpusetMems",
    "Devices",
    "DeviceCgroupRules",
    "DeviceRequests",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "Ulimits",
    "CpuCount",
    "CpuPercent",
    "IOMaximumIOps",
    "IOMaximumBandwidth",
    "MaskedPaths",
    "ReadonlyPaths",
}
PLAIN_CONFIG_KEYS = {
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "OnBuild",
    "Labels",
}
HOST_EXTRAS = {"Annotations", "Mounts", "StorageOpt", "Tmpfs", "Sysctls", "Init"}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"RestartPolicy": {"Name": "foo"}}, "invalid restart policy: unknown policy 'foo'"),
        ({"Mounts": [{"Target": "/x"}]}, 'invalid mount config for type "": mount type unknown'),
        ({"Mounts": [{"Type": "tmpfs", "Target": "/x", "BindOptions": {}}]}, 'BindOptions must not be specified on mount type "tmpfs"'),
    ],
)
def test_what_no_value_can_hold_is_refused_in_docker_s_words(host: dict[str, Any], message: str) -> None:
    body = decode(CreateBody, encode({"HostConfig": host}))
    with pytest.raises(Invalid) as caught:
        body.to_engine()
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"PidsLimit": -1}, HostConfig()),
        ({"PidsLimit": 0}, HostConfig()),
        ({"MemorySwappiness": -1}, HostConfig()),
        ({"NetworkMode": ""}, HostConfig()),
        ({"ConsoleSize": [1]}, HostConfig(console_size=(1, 0))),
        ({"CapAdd": "NET_ADMIN"}, HostConfig(cap_add=("NET_ADMIN",))),
        ({"PortBindings": {"80/tcp": None}}, HostConfig(port_bindings={"80/tcp": ()})),
        ({"KernelMemory": 5}, HostConfig()),
    ],
)
def test_what_clients_say_in_other_ways(wire: dict[str, Any], expected: HostConfig) -> None:
    assert to_host_config(decode(HostConfigBody, encode(wire))) == expected


def test_commands_may_be_one_string() -> None:
    config = to_config(decode(ContainerConfigBody, b'{"Cmd":"true","Entrypoint":[]}'))
    assert config.cmd == ("true",)
    assert config.entrypoint == ()
