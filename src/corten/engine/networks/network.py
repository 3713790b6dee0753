"""What a network is told to be (`NetworkRequest`) and what it is (`Network`), and the engine-wide settings, as values."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from corten.ids import NetworkId
from corten.network.ipam import AddressSpace, IPAddress
from corten.network.parents import KINDS, ParentSpec, find_vlan, isolated_parent
from corten.units import parse_bool

OPTION_BRIDGE_NAME = "com.docker.network.bridge.name"
OPTION_MTU = "com.docker.network.driver.mtu"
OPTION_ICC = "com.docker.network.bridge.enable_icc"
OPTION_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
OPTION_HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
OPTION_DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
OPTION_MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
OPTION_MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
OPTION_PREFIX = "com.docker.network.container_iface_prefix"
ENDPOINT_IFNAME = "com.docker.network.endpoint.ifname"
ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
PREDEFINED = ("bridge", "host", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class IpamPool:
    """One entry of IPAM.Config, as text; `gateway` "" = not chosen by the user. `chosen_gateway` is what the network really uses."""

    subnet: str
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: dict[str, str] = field(default_factory=dict)
    chosen_gateway: str = ""

    @property
    def network(self) -> IPv4Network | IPv6Network:
        return ip_network(self.subnet)

    @property
    def gateway_address(self) -> IPAddress | None:
        return ip_address(self.chosen_gateway) if self.chosen_gateway else None

    @property
    def default_gateway(self) -> IPAddress | None:
        """Where containers send what is for elsewhere: the bridge, unless --default-gateway says otherwise."""
        named = self.aux_addresses.get(default_gateway_name(self.network.version))
        return ip_address(named) if named else self.gateway_address

    def address_space(self) -> AddressSpace:
        """A fresh one in which the gateway and the auxiliary addresses are taken."""
        reserved = [ip_address(address) for address in self.aux_addresses.values()]
        if self.gateway_address is not None:
            reserved.append(self.gateway_address)
        return AddressSpace(self.network, ip_range=ip_network(self.ip_range) if self.ip_range else None, reserved=reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """`network create`. None = not said."""

    name: str
    driver: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    scope: str = ""
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = ""
    ipam_options: dict[str, str] | None = None
    pools: tuple[IpamPool, ...] = ()
    config_only: bool = False
    config_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as stored. `created` is ns since the epoch. `user_subnet`: the user named the subnet, so containers may ask for
    addresses."""

    id: NetworkId
    name: str
    created: int
    driver: str
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: tuple[IpamPool, ...] = ()
    user_subnet: bool = False
    config_only: bool = False
    config_from: str = ""
    bridge: str = ""
    mtu: int = 0

    @property
    def parent(self) -> str:
        """The link under a macvlan or ipvlan network, "" for other drivers."""
        if self.driver not in KINDS or self.config_only:
            return ""
        return self.options.get("parent") or isolated_parent(self.driver, self.id).name

    @property
    def own_parent(self) -> ParentSpec | None:
        """The parent, where the engine has to make it: a VLAN of another link, or one that leads nowhere."""
        named = self.options.get("parent", "")
        if not self.parent:
            return None
        return find_vlan(named) if named else isolated_parent(self.driver, self.id)

    @property
    def leads_out(self) -> bool:
        """Whether there is anything behind a gateway."""
        return not self.internal and (self.driver not in KINDS or bool(self.options.get("parent")))

    @property
    def is_predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def is_default_bridge(self) -> bool:
        return self.name == "bridge"

    @property
    def has_names(self) -> bool:
        """Whether containers find each other by name on it."""
        return not self.is_predefined

    def is_on(self, option: str, default: bool = True) -> bool:
        value = self.options.get(option, "")
        return parse_bool(value) if value else default

    def gateway_mode(self, version: int) -> str:
        return self.options.get(OPTION_MODE4 if version == 4 else OPTION_MODE6, "") or "nat"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What the daemon's flags say; every default is Docker's. `bridge` "" = corten0, or the next free number; "none" = no default
    bridge. `mtu` 0 = the uplink's, at most 1500. `address_pools` are (base, size). `instance` tells two engines on one host apart; ""
    is the usual one."""

    bridge: str = ""
    bip: str = ""
    fixed_cidr: str = ""
    default_gateway: str = ""
    ipv6: bool = False
    bip6: str = ""
    fixed_cidr_v6: str = ""
    default_gateway_v6: str = ""
    mtu: int = 0
    icc: bool = True
    masquerade: bool = True
    address_pools: tuple[tuple[str, int], ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    publish_default: str = ""
    host_gateways: tuple[str, ...] = ()
    firewall: bool = True
    forwarding: bool = True
    instance: str = ""


def default_gateway_name(version: int) -> str:
    """Under which the default bridge keeps --default-gateway among its auxiliary addresses."""
    return f"DefaultGatewayIPv{version}"
