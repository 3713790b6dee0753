"""Endpoints: a container's links, from the pair's creation to its routes. Called in the network thread.

What an endpoint shall be is a value (`Plug`); `plug` makes it so. Nothing is undone on failure: the caller closes the namespace or
calls `unplug`, and every link goes with it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_network

from corten.kernel.netlink import addresses, links, routes
from corten.kernel.netlink.codec import Message
from corten.kernel.netlink.socket import Netlink
from corten.network.namespaces import INSIDE_INDEX, Namespace, entered, read_sysctl, write_sysctl

Interface = IPv4Interface | IPv6Interface
IPAddress = IPv4Address | IPv6Address
_EVERYTHING = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """One endpoint. `parent` is the name of the bridge, or of the device of a macvlan or ipvlan, whose `mode` is the driver's;
    `host_link` is the outer end of a bridge endpoint's pair. `gateways` get the default route; on a link without gateway
    addresses (ipvlan l3) `default_on_link` gives it."""

    kind: str
    name: str
    parent: str
    addresses: tuple[Interface, ...]
    link_local: tuple[Interface, ...] = ()
    host_link: str = ""
    mac: str = ""
    mtu: int = 0
    mode: str = ""
    mode_flag: str = "bridge"
    isolated: bool = False
    gateways: tuple[IPAddress, ...] = ()
    default_on_link: bool = False
    sysctls: tuple[tuple[str, str], ...] = field(default=())

    @property
    def has_ipv6(self) -> bool:
        return any(address.version == 6 for address in (*self.addresses, *self.link_local))


def default_routes(plug: Plug, index: int, versions: Collection[int]) -> list[Message]:
    """The default routes of these families, as far as this endpoint can give them."""
    if plug.default_on_link:
        return [routes.add_route(routes.Route(_EVERYTHING[a.version], index)) for a in plug.addresses if a.version in versions]
    return [routes.default_route(gateway, index) for gateway in plug.gateways if gateway.version in versions]


def no_default_routes(inside: Netlink) -> list[Message]:
    """Takes away every default route that is there."""
    return [routes.delete_route(route) for route in routes.list_routes(inside) if route.destination.prefixlen == 0]


def plug(host: Netlink, inside: Netlink, namespace: Namespace, wanted: Plug, *, parent: int, default_for: Collection[int]) -> int:
    """Make the endpoint; the index of its link inside. `parent` is the parent's index; `default_for` the IP versions whose default
    route it gives. The link that waits in a pooled namespace is used when `host_link` names its outer end."""
    ready = wanted.kind == "bridge" and bool(namespace.link) and wanted.host_link == namespace.link
    index = INSIDE_INDEX if ready else _create(host, inside, namespace, wanted, parent)
    if wanted.kind == "bridge":
        steps = [links.set_link(wanted.host_link, up=True, master=parent, mtu=wanted.mtu)]
        hairpin = bridged_frames_are_translated()
        if wanted.isolated or hairpin:
            steps.append(links.set_port(wanted.host_link, isolated=wanted.isolated, hairpin=hairpin))
        host.run(steps)
    if ready and wanted.name != "eth0":
        inside.run([links.set_link(index, name=wanted.name)])  # first: sysctls go by the name
    _write_sysctls(namespace, wanted)
    mac = wanted.mac if wanted.kind != "ipvlan" else ""
    inner = [links.set_link(index, mac=mac, mtu=wanted.mtu)] if mac or wanted.mtu else []
    inner += [addresses.add_address(index, address) for address in (*wanted.addresses, *wanted.link_local)]
    inner.append(links.set_up(index))
    inner += default_routes(wanted, index, default_for)
    inside.run(inner)
    return index


def bridged_frames_are_translated() -> bool:
    """With br_netfilter a container that calls its own published port is translated while its frame is on the bridge, and the
    frame must leave by the port it came from."""
    return read_sysctl("net/bridge/bridge-nf-call-iptables", "0") == "1"


def _create(host: Netlink, inside: Netlink, namespace: Namespace, wanted: Plug, parent: int) -> int:
    end = links.Inside(name=wanted.name, netns_fd=namespace.fd, mac=wanted.mac if wanted.kind != "ipvlan" else "", mtu=wanted.mtu)
    if wanted.kind == "bridge":
        host.run([links.new_veth(wanted.host_link, end)])
    elif wanted.kind == "macvlan":
        host.run([links.new_macvlan(end, parent=parent, mode=wanted.mode or "bridge")])
    else:
        host.run([links.new_ipvlan(end, parent=parent, mode=wanted.mode or "l2", flag=wanted.mode_flag)])
    return links.index_of(inside, wanted.name)


def _write_sysctls(namespace: Namespace, wanted: Plug) -> None:
    """Only by a visit: netlink cannot set these."""
    values = [(f"net/ipv6/conf/{wanted.name}/disable_ipv6", "0")] if wanted.has_ipv6 else []
    if wanted.has_ipv6 and wanted.kind != "bridge":
        values.append((f"net/ipv6/conf/{wanted.name}/accept_ra", "1"))  # the routers of the parent's network are real ones
    values += wanted.sysctls
    if values:
        with entered(namespace.fd):
            for name, value in values:
                write_sysctl(name, value)


def unplug(host: Netlink, inside: Netlink, wanted: Plug) -> None:
    """Take a link out of a namespace that lives on. Idempotent."""
    if wanted.kind == "bridge":
        host.run([links.delete_link(wanted.host_link)])
        return
    found = links.find_link(inside, wanted.name)
    if found is not None:
        inside.run([links.delete_link(found.index)])


def next_name(inside: Netlink, prefix: str = "eth") -> str:
    """eth0, eth1 …: the first that is free."""
    taken = {link.name for link in links.list_links(inside)}
    return next(name for number in range(len(taken) + 1) if (name := f"{prefix}{number}") not in taken)
