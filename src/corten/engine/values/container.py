"""What a container is told to be (`ContainerConfig`, `HostConfig`) and what it is (`Container`), as the engine's own values.

Names are Docker's in snake_case; the wire spelling lives in `corten.api.types`. All values are frozen: a change is a
`dataclasses.replace`. They are stored as JSON in the metadata database, so every field is plain data with a default.
Sizes are bytes, durations nanoseconds where Docker's API has nanoseconds (health checks), seconds elsewhere.
"""

from dataclasses import dataclass, field
from typing import Literal

from corten.ids import ContainerId, DiffId, ImageId, NetworkId

BUILT_IN_RUNTIMES = ("", "corten", "runc", "io.containerd.runc.v2")
"""Names that mean the built-in runtime: configurations made for Docker name runc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """`test` is Docker's list: [] inherits, ["NONE"] disables, ["CMD", ...], ["CMD-SHELL", text]. Durations in ns, 0 = default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """The portable half: what an image can also carry. None means "not said: take the image's"."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: tuple[str, ...] = ()  # "8000/tcp"
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    args_escaped: bool = False
    entrypoint: tuple[str, ...] | None = None
    healthcheck: HealthCheck | None = None
    image: str = ""
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    stop_timeout: int | None = None  # seconds; None = 10
    shell: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    host_ip: str = ""
    host_port: str = ""  # "", "8080" or a range "8000-8010"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    name: Literal["", "no", "always", "unless-stopped", "on-failure"] = "no"
    maximum_retry_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    type: str = ""
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMapping:
    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """`--gpus` (count -1 = all), and CDI names with the driver "cdi"."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleDevice:
    path: str
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """One `--mount` (HostConfig.Mounts). Options not of its type stay at their defaults."""

    type: Literal["bind", "volume", "tmpfs", "image", "npipe", "cluster"]
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    no_copy: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    driver: str = ""
    driver_options: dict[str, str] = field(default_factory=dict)
    subpath: str = ""
    tmpfs_size: int = 0
    tmpfs_mode: int = 0
    tmpfs_options: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits; 0 (or None, or an empty tuple) = not set. `update` replaces this one value."""

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[ThrottleDevice, ...] = ()
    blkio_device_read_bps: tuple[ThrottleDevice, ...] = ()
    blkio_device_write_bps: tuple[ThrottleDevice, ...] = ()
    blkio_device_read_iops: tuple[ThrottleDevice, ...] = ()
    blkio_device_write_iops: tuple[ThrottleDevice, ...] = ()
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    memory_reservation: int = 0
    memory_swap: int = 0  # memory + swap; -1 = unlimited
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None  # None, 0 and -1 = unlimited
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The half that belongs to this host."""

    binds: tuple[str, ...] = ()
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = "default"  # default, bridge, none, host, container:ID, or a network's name or id
    port_bindings: dict[str, tuple[PortBinding, ...]] = field(default_factory=dict)  # "8000/tcp" -> bindings
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    console_size: tuple[int, int] = (0, 0)  # height, width
    annotations: dict[str, str] = field(default_factory=dict)
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroupns_mode: str = ""  # "", private, host
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] = ()
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] = ()
    storage_opt: dict[str, str] = field(default_factory=dict)
    tmpfs: dict[str, str] = field(default_factory=dict)
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0  # 0 = the engine's default
    sysctls: dict[str, str] = field(default_factory=dict)
    runtime: str = ""
    isolation: str = ""
    masked_paths: tuple[str, ...] | None = None  # None = Docker's default list
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """What the user asked of one network: NetworkingConfig.EndpointsConfig[name]. `said`: fields that came empty rather than null,
    which is how inspect shows them."""

    network: str
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    mac_address: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    driver_opts: dict[str, str] = field(default_factory=dict)
    gw_priority: int = 0
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a container got on one network while it runs."""

    config: EndpointConfig
    network_id: NetworkId
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    mac_address: str = ""
    dns_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A mount as resolved at create: what inspect shows under Mounts. `layers`, bottom first, are a mounted image's."""

    type: Literal["bind", "volume", "tmpfs", "image"]
    source: str
    destination: str
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    request: MountRequest | None = None
    anonymous: bool = False
    layers: tuple[DiffId, ...] = ()


HealthStatus = Literal["starting", "healthy", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResult:
    """One probe: `start` and `end` are ns since the epoch; `exit_code` -1 = it could not run or took too long."""

    start: int
    end: int
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a container with a health check stands: `failing_streak` failures in a row, `log` the last results, oldest first."""

    status: HealthStatus = "starting"
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()


Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`started_at` and `finished_at` are ns since the epoch, 0 = never. `health` None: no check, or never started."""

    status: Status = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0
    manually_stopped: bool = False
    health: Health | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container as stored. `name` has no leading slash; `created` is ns since the epoch."""

    id: ContainerId
    name: str
    created: int
    image_id: ImageId
    image_ref: str  # as the user wrote it
    path: str  # entrypoint and command resolved against the image's: argv[0]
    args: tuple[str, ...]
    config: ContainerConfig  # merged with the image's
    host: HostConfig
    state: State = State()
    platform: str = "linux"
    mounts: tuple[MountPoint, ...] = ()
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ports: dict[str, tuple[PortBinding, ...]] = field(default_factory=dict)  # what is bound while running
    exec_ids: tuple[str, ...] = ()
