"""The answer of `/info`."""

from msgspec import UNSET, UnsetType, field

from corten.api.wire import AnswerStruct


class PluginsInfo(AnswerStruct, frozen=True, kw_only=True):
    volume: list[str]
    network: list[str]
    authorization: list[str] | None = None
    log: list[str]


class IndexInfo(AnswerStruct, frozen=True, kw_only=True):
    name: str
    mirrors: list[str]
    secure: bool
    official: bool


class RegistryInfo(AnswerStruct, frozen=True, kw_only=True):
    index_configs: dict[str, IndexInfo]
    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs")
    mirrors: list[str] | None


class RuntimeInfo(AnswerStruct, frozen=True, kw_only=True):
    path: str = field(name="path")


class SwarmInfo(AnswerStruct, frozen=True, kw_only=True):
    """A node that is in no swarm."""

    node_id: str = field(name="NodeID", default="")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: None = None


class CommitInfo(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="ID", default="")


class FirewallInfo(AnswerStruct, frozen=True, kw_only=True):
    driver: str = "nftables"


class DeviceInfo(AnswerStruct, frozen=True, kw_only=True):
    source: str
    id: str = field(name="ID")


class InfoAnswer(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str = "overlay2"
    driver_status: list[tuple[str, str]]
    plugins: PluginsInfo
    memory_limit: bool
    swap_limit: bool
    cpu_cfs_period: bool = field(name="CpuCfsPeriod")
    cpu_cfs_quota: bool = field(name="CpuCfsQuota")
    cpu_shares: bool = field(name="CPUShares")
    cpu_set: bool = field(name="CPUSet")
    pids_limit: bool
    ipv4_forwarding: bool = field(name="IPv4Forwarding")
    debug: bool
    n_fd: int = field(name="NFd")
    oom_kill_disable: bool
    n_goroutines: int = field(name="NGoroutines")
    system_time: str
    logging_driver: str
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str
    n_events_listener: int = field(name="NEventsListener")
    kernel_version: str
    operating_system: str
    os_version: str = field(name="OSVersion")
    os_type: str = field(name="OSType", default="linux")
    architecture: str
    index_server_address: str = "https://index.docker.io/v1/"
    registry_config: RegistryInfo
    n_cpu: int = field(name="NCPU")
    mem_total: int
    generic_resources: None = None
    docker_root_dir: str
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str
    labels: list[str]
    experimental_build: bool = False
    server_version: str
    runtimes: dict[str, RuntimeInfo]
    default_runtime: str
    swarm: SwarmInfo = SwarmInfo()
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = "docker-init"
    containerd_commit: CommitInfo = CommitInfo()
    runc_commit: CommitInfo = CommitInfo()
    init_commit: CommitInfo = CommitInfo()
    security_options: list[str]
    firewall_backend: FirewallInfo = FirewallInfo()
    cdi_spec_dirs: list[str] = field(name="CDISpecDirs")
    discovered_devices: list[DeviceInfo] | UnsetType = UNSET
    warnings: list[str] | None
