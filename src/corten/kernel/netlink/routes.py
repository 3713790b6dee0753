"""Routes and neighbour entries (rtnetlink(7), RTM_*ROUTE, RTM_*NEIGH)."""

import errno
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from corten.kernel.netlink.codec import NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, Message, Reply, attribute, attributes, u32, unpack_u32
from corten.kernel.netlink.links import parse_mac
from corten.kernel.netlink.socket import Netlink

RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28
RTM_DELNEIGH = 29
_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_PRIORITY = 6
_RTA_PREFSRC = 7
_RTA_TABLE = 15
_RT_TABLE_MAIN = 254
_BIG_TABLE = 256
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTN_UNICAST = 1
_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_PERMANENT = 0x80
_FAMILY = {4: 2, 6: 10}
_HEAD = struct.Struct("=BBBBBBBBI")

Network = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route. `gateway` None = on the link itself."""

    destination: Network
    link: int
    gateway: IPAddress | None = None
    metric: int = 0
    table: int = _RT_TABLE_MAIN


def _payload(route: Route) -> bytes:
    scope = _RT_SCOPE_UNIVERSE if route.gateway or route.destination.version == 6 else _RT_SCOPE_LINK
    head = _HEAD.pack(
        _FAMILY[route.destination.version],
        route.destination.prefixlen,
        0,
        0,
        route.table if route.table < _BIG_TABLE else 0,
        _RTPROT_BOOT,
        scope,
        _RTN_UNICAST,
        0,
    )
    parts = [head, u32(_RTA_OIF, route.link)]
    if route.destination.prefixlen:
        parts.append(attribute(_RTA_DST, route.destination.network_address.packed))
    if route.gateway is not None:
        parts.append(attribute(_RTA_GATEWAY, route.gateway.packed))
    if route.table >= _BIG_TABLE:
        parts.append(u32(_RTA_TABLE, route.table))
    if route.metric:
        parts.append(u32(_RTA_PRIORITY, route.metric))
    return b"".join(parts)


def _words(route: Route) -> str:
    via = f" via {route.gateway}" if route.gateway else ""
    return f"route {route.destination}{via} on link {route.link}"


def add_route(route: Route) -> Message:
    """Adds it, or takes the place of the one with the same destination and metric."""
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _payload(route), f"add {_words(route)}")


def delete_route(route: Route) -> Message:
    gone = frozenset({errno.ESRCH, errno.ENODEV})
    return Message(RTM_DELROUTE, 0, _payload(route), f"delete {_words(route)}", gone)


def default_route(gateway: IPAddress, link: int) -> Message:
    return add_route(Route(ip_network("0.0.0.0/0" if gateway.version == 4 else "::/0"), link, gateway))


def parse_route(reply: Reply) -> Route | None:
    """None for what is not a unicast route of the main table."""
    family, prefix, _src, _tos, table, _proto, _scope, kind, _flags = _HEAD.unpack_from(reply.payload)
    if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST or family not in _FAMILY.values():
        return None
    found = attributes(reply.payload[_HEAD.size :])
    zero = bytes(4 if family == _FAMILY[4] else 16)
    gateway = found.get(_RTA_GATEWAY)
    return Route(
        destination=ip_network((found.get(_RTA_DST, zero), prefix)),
        link=unpack_u32(found.get(_RTA_OIF)),
        gateway=None if gateway is None else ip_address(gateway),
        metric=unpack_u32(found.get(_RTA_PRIORITY)),
    )


def list_routes(netlink: Netlink) -> list[Route]:
    """The main table, both families."""
    replies = netlink.query(Message(RTM_GETROUTE, NLM_F_DUMP, _HEAD.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "list routes"))
    found = [parse_route(reply) for reply in replies]
    return [route for route in found if route is not None]


def add_neighbour(address: IPAddress, mac: str, link: int) -> Message:
    """A permanent entry: the address is at that MAC address, without asking."""
    head = struct.pack("=BxHiHBB", _FAMILY[address.version], 0, link, _NUD_PERMANENT, 0, 0)
    payload = head + attribute(_NDA_DST, address.packed) + attribute(_NDA_LLADDR, parse_mac(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, payload, f"add neighbour {address} {mac} on link {link}")


def delete_neighbour(address: IPAddress, link: int) -> Message:
    head = struct.pack("=BxHiHBB", _FAMILY[address.version], 0, link, 0, 0, 0)
    gone = frozenset({errno.ENOENT, errno.ENODEV})
    return Message(RTM_DELNEIGH, 0, head + attribute(_NDA_DST, address.packed), f"delete neighbour {address} on link {link}", gone)
