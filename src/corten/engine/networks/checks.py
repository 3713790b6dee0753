"""Whether a container may be on a network the way it asks to be, with Docker's texts. Pure."""

import re
from collections.abc import Collection, Iterable
from ipaddress import ip_address

from corten.engine.networks.network import ENDPOINT_SYSCTLS, Network
from corten.engine.values.container import EndpointConfig, HostConfig
from corten.errors import Denied, EngineError, Invalid
from corten.network.hostfiles import parse_extra_host
from corten.network.ipam import IPAddress
from corten.network.parents import parse_vlan
from corten.network.ports import parse_host_ip, parse_port, parse_port_range

_NOT_HERE = "user specified IP address is supported on user defined networks only"
_NO_SUBNET = "user specified IP address is supported only when connecting to networks with user configured subnets"
_NO_ALIAS = "network-scoped alias is supported only for containers in user defined networks"
_SYSCTL_NAME = re.compile(r"net\.\w+\.[\w-]+\.ifname\.[\w-]+", re.IGNORECASE | re.ASCII).fullmatch
_INTERFACE_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.[^.]+\.ifname\..*", re.IGNORECASE).match
_NO_LINKS = "user defined networks are required for links between containers"


def endpoint_faults(network: Network, config: EndpointConfig) -> list[str]:
    """Every reason against these settings on this network."""
    faults = []
    if config.aliases and network.is_predefined:
        faults.append(_NO_ALIAS)
    for text, version in ((config.ipv4_address, 4), (config.ipv6_address, 6)):
        if text:
            faults += _address_faults(network, text, version)
    faults += [fault for text in config.link_local_ips if (fault := link_local_fault(text))]
    faults += [fault for text in config.driver_opts.get(ENDPOINT_SYSCTLS, "").split(",") if text and (fault := sysctl_fault(text))]
    return faults


def link_local_fault(text: str) -> str:
    """What is wrong with an address of --link-local-ip, "" = nothing."""
    try:
        address = ip_address(text)
    except ValueError:
        return f"invalid link-local IP address: {text}"
    return "" if address.is_link_local and "%" not in text else f"invalid link local IP address: {text}"


def sysctl_fault(text: str) -> str:
    """What is wrong with one setting of the endpoint's link (`net.ipv4.conf.IFNAME.log_martians=1`), "" = nothing. IFNAME is the
    only place for a link's name, and nothing but letters, digits, - and _ may stand elsewhere: the name becomes a path."""
    if not _INTERFACE_SYSCTL(text):
        advice = "represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        return f"unrecognised network interface sysctl '{text}'; {advice}"
    name, equals, _ = text.partition("=")
    if not equals:
        return f"expected sysctl '{text}' to have format name=value"
    if not _SYSCTL_NAME(name):
        return f"expected sysctl '{text}' to have format net.X.Y.IFNAME.Z"
    return ""


def _address_faults(network: Network, text: str, version: int) -> list[str]:
    faults = []
    address: IPAddress | None
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != version:
        faults.append(f"invalid IPv{version} address: {text}")
    if network.is_predefined:
        faults.append(_NOT_HERE)
    subnets = [pool.network for pool in network.pools if pool.network.version == version]
    if not subnets or not network.user_subnet:
        faults.append(_NO_SUBNET)
    elif not any(address is not None and address in subnet for subnet in subnets):
        faults.append(f"no configured subnet or ip-range contain the IP address {text}")
    return faults


def _is_mac(text: str) -> bool:
    parts = text.replace("-", ":").split(":")
    try:
        return len(parts) == 6 and all(len(part) == 2 and int(part, 16) >= 0 for part in parts)
    except ValueError:
        return False


def joined_faults(faults: list[str]) -> str:
    """Go's errors.Join with bullets, as moby formats more than one."""
    if len(faults) == 1:
        return f"invalid endpoint settings:\n{faults[0]}"
    return "invalid endpoint settings:" + "".join(f"\n* {fault}" for fault in faults)


def check_mac(config: EndpointConfig) -> None:
    if config.mac_address and not _is_mac(config.mac_address):
        raise Invalid(f"invalid MAC address {config.mac_address}", reason="bad-endpoint-settings")


def check_endpoint(network: Network, config: EndpointConfig) -> None:
    check_mac(config)
    faults = endpoint_faults(network, config)
    if faults:
        raise Invalid(joined_faults(faults), reason="bad-endpoint-settings")


def check_usable(network: Network) -> None:
    if network.config_only:
        raise Denied("cannot create endpoint on configuration-only network", reason="config-only-network")


def check_parent(network: Network, networks: Iterable[Network], links: Collection[str]) -> None:
    """Whether a macvlan or ipvlan network may stand on its parent; `links` are the host's. Raises EngineError, as Docker does."""
    driver, parent, passthru = network.driver, network.parent, network.options.get("macvlan_mode") == "passthru"
    if parent == "lo":
        raise EngineError(f"loopback interface is not a valid {driver} parent link", reason="bad-parent")
    if network.options.get("parent") and parent not in links and (vlan_of := parse_vlan(parent).vlan_of) not in links:
        raise EngineError(f"-o parent interface was not found on the host: {vlan_of}", reason="no-such-parent")
    for other in networks:
        if other.parent != parent or other.driver != driver:
            continue
        if driver == "ipvlan":
            raise EngineError(f"network di-{other.id[:12]} is already using parent interface {parent}", reason="parent-in-use")
        if passthru:
            text = f"cannot use mode passthru, macvlan network {other.id} is already using parent interface {parent}"
            raise EngineError(text, reason="parent-in-use")
        if other.options.get("macvlan_mode") == "passthru":
            text = f"macvlan network {other.id} is already using parent interface {parent} in mode passthru"
            raise EngineError(text, reason="parent-in-use")


def check_host_config(host: HostConfig) -> None:
    """The texts of HostConfig that only networks understand. Raises Invalid."""
    for text in host.extra_hosts:
        parse_extra_host(text)
    for port, bindings in host.port_bindings.items():
        parse_port(port)
        for binding in bindings:
            parse_host_ip(binding.host_ip)
            parse_port_range(binding.host_port)
    for server in host.dns:
        try:
            ip_address(server)
        except ValueError as error:
            raise Invalid(f"invalid DNS server address: {server}", reason="bad-dns-server") from error
