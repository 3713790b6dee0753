"""Bridges: one Linux bridge for each network of driver `bridge`. Called in the network thread."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from corten.kernel.netlink import addresses, links, routes
from corten.kernel.netlink.socket import Netlink
from corten.network.namespaces import read_sysctl, write_sysctl

Interface = IPv4Interface | IPv6Interface
_DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSpec:
    """A bridge as it should be. `addresses` are the gateways' with their prefixes; mtu 0 = the kernel's. `owner` is written into
    the link's alias: an engine touches only bridges that carry its own. `routes_neighbours`: it answers ARP for its containers, whose
    ports are isolated, so that what they send each other passes the firewall (RFC 3069)."""

    name: str
    addresses: tuple[Interface, ...]
    owner: str = ""
    mtu: int = 0
    routes_neighbours: bool = False

    @property
    def has_ipv6(self) -> bool:
        return any(address.version == 6 for address in self.addresses)


def _mac(spec: BridgeSpec) -> str:
    """A bridge without a MAC address of its own changes it with its ports, and containers would keep a stale neighbour entry."""
    for address in spec.addresses:
        if isinstance(address, IPv4Interface):
            return links.mac_of(address.ip)
    return links.format_mac(b"\x02\x42" + spec.addresses[0].ip.packed[-4:]) if spec.addresses else ""


def ensure_bridge(netlink: Netlink, spec: BridgeSpec) -> int:
    """The bridge's index; made where it is missing, mended where it differs. Raises OSError when the name is another kind of link."""
    found = links.find_link(netlink, spec.name)
    if found is None:
        netlink.run([links.new_bridge(spec.name, mtu=spec.mtu, mac=_mac(spec)), links.set_alias(spec.name, spec.owner)])
        found = links.get_link(netlink, spec.name)
    elif found.kind != "bridge":
        raise FileExistsError(f"{spec.name} exists and is no bridge")
    _write_sysctls(spec)
    present = {address.interface for address in addresses.list_addresses(netlink, found.index)}
    steps = [addresses.add_address(found.index, address) for address in spec.addresses if address not in present]
    stale = [a for a in present if a.version == 4 and a not in spec.addresses]
    steps += [addresses.delete_address(found.index, address) for address in stale]
    if spec.mtu and found.mtu != spec.mtu:
        steps.append(links.set_link(found.index, mtu=spec.mtu))
    if not found.is_up:
        steps.append(links.set_up(found.index))
    netlink.run(steps)
    return found.index


def _write_sysctls(spec: BridgeSpec) -> None:
    """route_localnet lets the host's 127.0.0.1:port reach a container; the firewall's guard keeps containers from using it."""
    write_sysctl(f"net/ipv4/conf/{spec.name}/route_localnet", "1")
    write_sysctl(f"net/ipv4/conf/{spec.name}/proxy_arp_pvlan", "1" if spec.routes_neighbours else "0", optional=True)
    if spec.routes_neighbours:
        write_sysctl(f"net/ipv4/conf/{spec.name}/send_redirects", "0")
        write_sysctl(f"net/ipv4/neigh/{spec.name}/proxy_delay", "0")  # else an answer waits for up to 0.8 s
    write_sysctl(f"net/ipv6/conf/{spec.name}/accept_ra", "0", optional=True)
    write_sysctl(f"net/ipv6/conf/{spec.name}/accept_dad", "0", optional=True)
    write_sysctl(f"net/ipv6/conf/{spec.name}/disable_ipv6", "0" if spec.has_ipv6 else "1", optional=True)


def remove_bridge(netlink: Netlink, name: str) -> None:
    """Idempotent. Waits for the kernel: behind the answer."""
    netlink.run([links.delete_link(name)])


def uplink_mtu(netlink: Netlink) -> int:
    """The MTU of the link that the default route takes; 1500 without one."""
    for route in routes.list_routes(netlink):
        if route.destination.prefixlen == 0 and route.gateway is not None:
            found = links.find_link(netlink, route.link)
            return found.mtu if found else _DEFAULT_MTU
    return _DEFAULT_MTU


def host_networks(netlink: Netlink, *, ignore_links: Iterable[str] = ()) -> list[routes.Network]:
    """The destinations that the host already routes somewhere, so that no new network takes one of them."""
    ignored = {link.index for name in ignore_links if (link := links.find_link(netlink, name))}
    found = [route.destination for route in routes.list_routes(netlink) if route.link not in ignored]
    return [network for network in found if network.prefixlen]


def enable_forwarding(*, ipv6: bool) -> bool:
    """Let the host route for containers. True if IPv4 forwarding was off before, so the host was no router until now."""
    was_off = read_sysctl("net/ipv4/ip_forward") == "0"
    write_sysctl("net/ipv4/ip_forward", "1")
    if ipv6 and read_sysctl("net/ipv6/conf/all/forwarding", "1") == "0":
        _keep_router_advertisements()
        write_sysctl("net/ipv6/conf/all/forwarding", "1", optional=True)
    return was_off


def _keep_router_advertisements() -> None:
    """A forwarding host ignores router advertisements unless accept_ra is 2; without this the uplink would lose its route."""
    with Netlink() as netlink:
        for link in links.list_links(netlink):
            if link.kind == "" and read_sysctl(f"net/ipv6/conf/{link.name}/accept_ra") == "1":
                write_sysctl(f"net/ipv6/conf/{link.name}/accept_ra", "2", optional=True)
