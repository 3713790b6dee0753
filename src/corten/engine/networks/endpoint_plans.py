"""What a container gets on one network, decided before the kernel is asked: addresses, MAC, link, gateway, names. Pure."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from corten.engine.networks.checks import link_local_fault, sysctl_fault
from corten.engine.networks.network import ENDPOINT_IFNAME, ENDPOINT_SYSCTLS, OPTION_ICC, OPTION_PREFIX, Network
from corten.engine.values.container import Container, Endpoint, EndpointConfig
from corten.ids import short_id
from corten.kernel.netlink.links import format_mac, mac_of
from corten.network.endpoints import Plug
from corten.network.ipam import IPAddress

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """`plug` None: a network that has no link for containers (none, host)."""

    network: Network
    config: EndpointConfig
    interfaces: tuple[Interface, ...]
    endpoint: Endpoint
    plug: Plug | None = None

    def interface(self, version: int) -> Interface | None:
        return next((found for found in self.interfaces if found.version == version), None)


def dns_names(container: Container, config: EndpointConfig) -> tuple[str, ...]:
    """Name, aliases, short id, host name: without repeats, in Docker's order."""
    names = (container.name, *config.aliases, short_id(container.id), container.config.hostname)
    return tuple(dict.fromkeys(name for name in names if name))


def link_prefix(network: Network) -> str:
    return network.options.get(OPTION_PREFIX) or "eth"


def plan_without_link(network: Network, config: EndpointConfig) -> EndpointPlan:
    endpoint = Endpoint(config=config, network_id=network.id, endpoint_id=secrets.token_hex(32))
    return EndpointPlan(network=network, config=config, interfaces=(), endpoint=endpoint)


def plan_endpoint(
    network: Network, container: Container, config: EndpointConfig, interfaces: tuple[Interface, ...], *, number: int
) -> EndpointPlan:
    """`number` gives the link its name (eth0 …) unless the user did."""
    mac = config.mac_address.replace("-", ":").lower() or _mac(interfaces)
    gateways = _gateways(network, interfaces)
    v4 = next((i for i in interfaces if i.version == 4), None)
    v6 = next((i for i in interfaces if i.version == 6), None)
    shown = {gateway.version: str(gateway) for gateway in gateways}
    endpoint = Endpoint(
        config=config,
        network_id=network.id,
        endpoint_id=secrets.token_hex(32),
        gateway=shown.get(4, ""),
        ip_address=str(v4.ip) if v4 else "",
        ip_prefix_len=v4.network.prefixlen if v4 else 0,
        ipv6_gateway=shown.get(6, ""),
        global_ipv6_address=str(v6.ip) if v6 else "",
        global_ipv6_prefix_len=v6.network.prefixlen if v6 else 0,
        mac_address=mac if network.driver != "ipvlan" else "",
        dns_names=dns_names(container, config) if network.has_names else (),
    )
    name = config.driver_opts.get(ENDPOINT_IFNAME) or f"{link_prefix(network)}{number}"
    plug = _plug(network, config, interfaces, gateways, mac=mac, name=name)
    return EndpointPlan(network=network, config=config, interfaces=interfaces, endpoint=endpoint, plug=plug)


def restored_plan(network: Network, endpoint: Endpoint, *, number: int) -> EndpointPlan:
    """The plan of a live container's endpoint, from what was stored."""
    interfaces: list[Interface] = []
    if endpoint.ip_address:
        interfaces.append(IPv4Interface((endpoint.ip_address, endpoint.ip_prefix_len)))
    if endpoint.global_ipv6_address:
        interfaces.append(IPv6Interface((endpoint.global_ipv6_address, endpoint.global_ipv6_prefix_len)))
    found = tuple(interfaces)
    config = endpoint.config
    if not found:
        return EndpointPlan(network=network, config=config, interfaces=(), endpoint=endpoint)
    name = config.driver_opts.get(ENDPOINT_IFNAME) or f"{link_prefix(network)}{number}"
    plug = _plug(network, config, found, _gateways(network, found), mac=endpoint.mac_address, name=name)
    return EndpointPlan(network=network, config=config, interfaces=found, endpoint=endpoint, plug=plug)


def _mac(interfaces: Sequence[Interface]) -> str:
    for interface in interfaces:
        if isinstance(interface, IPv4Interface):
            return mac_of(interface.ip)
    return format_mac(b"\x02\x42" + interfaces[0].ip.packed[-4:])


def _gateways(network: Network, interfaces: Iterable[Interface]) -> tuple[IPAddress, ...]:
    """None on an internal network: there is no way out."""
    if not network.leads_out:
        return ()
    found = []
    for interface in interfaces:
        for pool in network.pools:
            gateway = pool.default_gateway if network.is_default_bridge else pool.gateway_address
            if gateway is not None and interface.ip in pool.network:
                found.append(gateway)
    return tuple(found)


def _plug(
    network: Network, config: EndpointConfig, interfaces: tuple[Interface, ...], gateways: tuple[IPAddress, ...], *, mac: str, name: str
) -> Plug:
    on_link = network.driver == "ipvlan" and network.options.get("ipvlan_mode", "l2") != "l2"
    return Plug(
        kind=network.driver,
        name=name,
        parent=network.bridge or network.parent,
        addresses=interfaces,
        link_local=tuple(_link_local(text) for text in config.link_local_ips if not link_local_fault(text)),
        mac=mac,
        mtu=network.mtu,
        mode=network.options.get(f"{network.driver}_mode", ""),
        mode_flag=network.options.get("ipvlan_flag", "bridge"),
        isolated=network.driver == "bridge" and not network.is_on(OPTION_ICC),
        gateways=() if on_link else gateways,
        default_on_link=on_link and network.leads_out,
        sysctls=_sysctls(config.driver_opts.get(ENDPOINT_SYSCTLS, ""), name),
    )


def _link_local(text: str) -> Interface:
    """--link-local-ip, with the prefix of its kind."""
    address = ip_address(text)
    return ip_interface((address, 16 if address.version == 4 else 64))


def _sysctls(text: str, ifname: str) -> tuple[tuple[str, str], ...]:
    """ "net.ipv4.conf.IFNAME.log_martians=1,..." as paths under /proc/sys and values; what is no setting of this link is left out."""
    found = []
    for part in text.split(","):
        if part and not sysctl_fault(part):
            key, _, value = part.partition("=")
            words = key.split(".")
            found.append(("/".join((*words[:3], ifname, words[4])), value))
    return tuple(found)


def _leads_out_by_both(plan: EndpointPlan) -> bool:
    return plan.plug is not None and len({gateway.version for gateway in plan.plug.gateways}) > 1


def default_givers(plans: Mapping[str, EndpointPlan]) -> dict[int, str]:
    """IP version -> the network whose gateway is the default one: highest priority, then one that leads out by IPv4 and IPv6, then
    first by name."""
    givers: dict[int, str] = {}
    for name, plan in sorted(plans.items(), key=lambda item: (-item[1].config.gw_priority, not _leads_out_by_both(item[1]), item[0])):
        if plan.plug is None:
            continue
        versions = [a.version for a in plan.plug.addresses] if plan.plug.default_on_link else [g.version for g in plan.plug.gateways]
        for version in versions:
            givers.setdefault(version, name)
    return givers
