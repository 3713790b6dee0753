"""The gate: how a packet from outside to a published port passes the host's own input filter before it is translated.

Translation happens before routing, and a translated packet is forwarded: the host's rules for input never see it. So the first
packet of a connection is left as it is, goes the way of packets for the host, through every input chain of whatever firewall there
is, and reaches our chain behind all of them only when none dropped it. There a copy is sent out by one end of a veth pair; the
original ends. What comes in by the other end is translated. The following packets of the connection are translated at once.

    eth0 ─▶ dstnat: a published port, mark the connection ─▶ the host's input chains ─▶ gate: copy ─▶ corten-out
    corten-in ─▶ dstnat: translate ─▶ forward ─▶ bridge ─▶ container

Both ends have one MAC address and no ARP, so no address is needed. Two policy rules make the copy's source valid on `corten-in`
for reverse-path filters (rp_filter=1, and rules that ask `fib saddr . mark . iif`). The mark of the connection never lasts: the
connection of the original packet is dropped unconfirmed.
"""

import struct
import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from corten.kernel.netlink import links, policies, routes
from corten.kernel.netlink.codec import Message
from corten.kernel.netlink.socket import Netlink
from corten.kernel.nftables import expressions as e
from corten.kernel.nftables.batch import Chain
from corten.network.namespaces import write_sysctl

_LAST = 0x7FFFFFFE
_MAC = "02:42:63:6f:72:74"
_MTU = 65535
_PRIORITY = 31000
_NEIGHBOUR4, _NEIGHBOUR6 = IPv4Address("192.0.0.8"), IPv6Address("fe80::1")  # dummies: a frame needs some destination


@dataclass(frozen=True, slots=True)
class Gate:
    """`out` is where copies are sent, `into` where they come in again. `mark` also numbers the routing table."""

    out: str
    into: str
    mark: int


def gate_of(table: str) -> Gate:
    """Each engine on a host has its own, as it has its own nft table."""
    instance = table.removeprefix("corten").lstrip("-")[:8]
    mark = 0x63000000 | zlib.crc32(table.encode()) & 0xFFFFFF
    return Gate(f"cout-{instance}", f"cin-{instance}", mark) if instance else Gate("corten-out", "corten-in", mark)


def ensure_gate(netlink: Netlink, gate: Gate, owner: str) -> int:
    """Make or mend links, routes and policy rules; the index of `out`."""
    if links.find_link(netlink, gate.out) is None:
        netlink.run([links.new_veth(gate.out, links.Inside(name=gate.into, mac=_MAC, mtu=_MTU))])
        netlink.run([links.set_link(gate.out, mac=_MAC), links.set_alias(gate.out, owner), links.set_alias(gate.into, owner)])
    steps = [step for name in (gate.out, gate.into) for step in (links.no_link_local(name), links.set_no_arp(name))]
    netlink.run(steps)
    for name in (gate.out, gate.into):
        write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "0", optional=True)
        write_sysctl(f"net/ipv6/conf/{name}/accept_ra", "0", optional=True)
    write_sysctl(f"net/ipv4/conf/{gate.into}/src_valid_mark", "1")
    write_sysctl(f"net/ipv4/conf/{gate.into}/rp_filter", "0")
    netlink.run([links.set_up(gate.out), links.set_up(gate.into)])
    out, into = links.get_link(netlink, gate.out).index, links.get_link(netlink, gate.into).index
    netlink.run(_routes(gate, out, into, with_ipv6=_has_ipv6()))
    return out


def _has_ipv6() -> bool:
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            return bool(file.readline())
    except FileNotFoundError:
        return False


def _routes(gate: Gate, out: int, into: int, *, with_ipv6: bool) -> list[Message]:
    steps = []
    for version, everything in ((4, ip_network("0.0.0.0/0")), (6, ip_network("::/0"))):
        if version == 6 and not with_ipv6:
            continue
        steps += [
            policies.add_policy(policies.Policy(version=version, priority=_PRIORITY, table=policies.MAIN_TABLE, input_link=gate.into)),
            policies.add_policy(policies.Policy(version=version, priority=_PRIORITY + 1, table=gate.mark, mark=gate.mark)),
            routes.add_route(routes.Route(everything, into, table=gate.mark)),
        ]
    if with_ipv6:
        steps.append(routes.add_route(routes.Route(ip_network("fe80::1/128"), out)))
    return steps


def remove_gate(netlink: Netlink, gate: Gate) -> None:
    """Idempotent; its routes go with its links."""
    for version in (4, 6):
        one = policies.Policy(version=version, priority=_PRIORITY, table=policies.MAIN_TABLE, input_link=gate.into)
        other = policies.Policy(version=version, priority=_PRIORITY + 1, table=gate.mark, mark=gate.mark)
        netlink.run([policies.delete_policy(one), policies.delete_policy(other)])
    netlink.run([links.delete_link(gate.out)])


def gate_chain(family: int, gate: Gate, out: int) -> Chain:
    """Behind every input chain of others. `family` is NFPROTO_IPV4 or NFPROTO_IPV6, `out` the index of the link."""
    mark = struct.pack("=I", gate.mark)
    neighbour = _NEIGHBOUR4 if family == e.NFPROTO_IPV4 else _NEIGHBOUR6
    rule = (
        e.load_connection_mark()
        + e.compare(mark)
        + e.immediate(mark)
        + e.set_mark()
        + e.immediate(neighbour.packed, 4)
        + e.immediate(struct.pack("=I", out), 8)
        + e.send_copy(address=4, device=8)
        + e.drop()
    )
    return Chain(name="gate", hook="input", priority=_LAST, rules=(rule,))
