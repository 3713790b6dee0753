"""Bodies of the container calls (create, update) and their answers; inspect and list in full."""

from msgspec import UNSET, UnsetType, field

from corten.api.types.container_config import ContainerConfigBody, to_config
from corten.api.types.endpoints import EndpointBody, to_endpoint_config
from corten.api.types.host_config import HostConfigBody, PortBindings, RestartPolicyBody, to_host_config
from corten.api.types.mounts import MountPointAnswer
from corten.api.types.resources import ResourcesBody
from corten.api.wire import AnswerStruct, WireStruct
from corten.engine.values.container import ContainerConfig, EndpointConfig, HostConfig
from corten.errors import Invalid


class NetworkingConfigBody(WireStruct, frozen=True, kw_only=True):
    endpoints_config: dict[str, EndpointBody | None] | None = None


class CreateBody(ContainerConfigBody, frozen=True, kw_only=True):
    host_config: HostConfigBody | None = None
    networking_config: NetworkingConfigBody | None = None

    def to_engine(self) -> tuple[ContainerConfig, HostConfig, tuple[EndpointConfig, ...]]:
        """Raises Invalid for what an engine value cannot hold."""
        networks = (self.networking_config or NetworkingConfigBody()).endpoints_config or {}
        if nil := next((name for name, body in networks.items() if body is None), None):
            raise Invalid(f"invalid config for network {nil}: EndpointsConfig is nil", reason="bad-endpoint-settings")
        endpoints = tuple(to_endpoint_config(name, body) for name, body in networks.items())
        return to_config(self), to_host_config(self.host_config or HostConfigBody()), endpoints


class UpdateBody(ResourcesBody, frozen=True, kw_only=True):
    """What is 0 or null stays as it is."""

    restart_policy: RestartPolicyBody | None = None


class CreateAnswer(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")
    warnings: list[str]


class UpdateAnswer(AnswerStruct, frozen=True, kw_only=True):
    warnings: list[str]


class WaitError(AnswerStruct, frozen=True, kw_only=True):
    message: str


class WaitAnswer(AnswerStruct, frozen=True, kw_only=True):
    status_code: int
    error: WaitError | UnsetType = UNSET


class HealthLog(AnswerStruct, frozen=True, kw_only=True):
    start: str
    end: str
    exit_code: int
    output: str


class HealthAnswer(AnswerStruct, frozen=True, kw_only=True):
    status: str
    failing_streak: int
    log: list[HealthLog]


class StateAnswer(AnswerStruct, frozen=True, kw_only=True):
    """Times are RFC 3339 with nanoseconds, `0001-01-01T00:00:00Z` for never."""

    status: str
    running: bool
    paused: bool
    restarting: bool
    oom_killed: bool = field(name="OOMKilled")
    dead: bool
    pid: int
    exit_code: int
    error: str
    started_at: str
    finished_at: str
    health: HealthAnswer | UnsetType = UNSET


class AddressAnswer(AnswerStruct, frozen=True, kw_only=True):
    addr: str
    prefix_len: int


class NetworkSettingsAnswer(AnswerStruct, frozen=True, kw_only=True):
    """The address fields beside `networks` are those of the default bridge network, kept for old clients."""

    bridge: str = ""
    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: PortBindings = field(default_factory=dict)
    hairpin_mode: bool = False
    link_local_ipv6_address: str = field(name="LinkLocalIPv6Address", default="")
    link_local_ipv6_prefix_len: int = field(name="LinkLocalIPv6PrefixLen", default=0)
    secondary_ip_addresses: list[AddressAnswer] | None = field(name="SecondaryIPAddresses", default=None)
    secondary_ipv6_addresses: list[AddressAnswer] | None = field(name="SecondaryIPv6Addresses", default=None)
    endpoint_id: str = ""
    gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    mac_address: str = ""
    networks: dict[str, EndpointBody] = field(default_factory=dict)


class DriverAnswer(AnswerStruct, frozen=True, kw_only=True):
    name: str
    data: dict[str, str] | None


class ExitReasonAnswer(AnswerStruct, frozen=True, kw_only=True):
    """Why a container does not run, or how it does: for programs (`reason`), and a line each for people."""

    id: str = field(name="Id")
    name: str
    status: str
    exit_code: int
    finished_at: str
    reason: str
    cause: str
    action: str


class CortenAnswer(AnswerStruct, frozen=True, kw_only=True):
    """What only Corten's inspect has."""

    exit_reason: ExitReasonAnswer


class ContainerInspect(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")
    created: str
    path: str
    args: list[str]
    state: StateAnswer
    image: str
    resolv_conf_path: str
    hostname_path: str
    hosts_path: str
    log_path: str
    name: str
    restart_count: int
    driver: str
    platform: str
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = field(name="ExecIDs")
    host_config: HostConfigBody
    graph_driver: DriverAnswer
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET
    mounts: list[MountPointAnswer]
    config: ContainerConfigBody
    network_settings: NetworkSettingsAnswer
    corten: CortenAnswer | UnsetType = UNSET


class PortAnswer(AnswerStruct, frozen=True, kw_only=True):
    """One line of `docker ps`: addresses of a published port come once per address family."""

    ip: str | UnsetType = UNSET
    private_port: int
    public_port: int | UnsetType = UNSET
    type: str


class SummaryHostConfig(AnswerStruct, frozen=True, kw_only=True):
    network_mode: str
    annotations: dict[str, str] | UnsetType = UNSET


class SummaryNetworks(AnswerStruct, frozen=True, kw_only=True):
    networks: dict[str, EndpointBody]


class ContainerSummary(AnswerStruct, frozen=True, kw_only=True):
    """A row of `/containers/json`. `created` is in seconds since the epoch."""

    id: str = field(name="Id")
    names: list[str]
    image: str
    image_id: str
    command: str
    created: int
    ports: list[PortAnswer]
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET
    labels: dict[str, str]
    state: str
    status: str
    host_config: SummaryHostConfig
    network_settings: SummaryNetworks
    mounts: list[MountPointAnswer]


class ChangeAnswer(AnswerStruct, frozen=True, kw_only=True):
    path: str
    kind: int


class TopAnswer(AnswerStruct, frozen=True, kw_only=True):
    titles: list[str]
    processes: list[list[str]]
