"""Connection tracking entries: read and delete (nfnetlink_conntrack), so that a stopped container's UDP flows do not linger."""

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from corten.kernel.netlink.codec import NLM_F_DUMP, Message, Reply, attributes, walk
from corten.kernel.netlink.socket import Netlink

_SUBSYS = 1 << 8
_CT_GET = _SUBSYS | 1
_CT_DELETE = _SUBSYS | 2
_CTA_TUPLE_ORIG = 1
_CTA_TUPLE_REPLY = 2
_CTA_TUPLE_IP = 1
_CTA_TUPLE_PROTO = 2
_CTA_ZONE = 18
_CTA_IP_V4 = (1, 2)
_CTA_IP_V6 = (3, 4)
_CTA_PROTO_NUM = 1
_CTA_PROTO_DST_PORT = 3
_NESTED = 0x8000

IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Flow:
    """`source` and `destination` as the first packet had them, `port` its destination port (0 for protocols without); `answered_by`
    is who answers (the container, after DNAT)."""

    family: int
    protocol: int
    source: IPAddress
    destination: IPAddress
    answered_by: IPAddress
    key: bytes  # the original tuple as attributes, for deletion
    port: int = 0


def _addresses(tuple_attributes: bytes) -> tuple[IPAddress, IPAddress]:
    found = attributes(attributes(tuple_attributes)[_CTA_TUPLE_IP])
    source, destination = _CTA_IP_V4 if _CTA_IP_V4[0] in found else _CTA_IP_V6
    return ip_address(found[source]), ip_address(found[destination])


def parse_flow(reply: Reply) -> Flow:
    parts = dict(walk(reply.payload[4:]))
    original, answer = parts[_CTA_TUPLE_ORIG], parts[_CTA_TUPLE_REPLY]
    source, destination = _addresses(original)
    proto = attributes(attributes(original)[_CTA_TUPLE_PROTO])
    port = int.from_bytes(proto.get(_CTA_PROTO_DST_PORT, b""), "big")
    key = struct.pack("=HH", len(original) + 4, _CTA_TUPLE_ORIG | _NESTED) + original
    if _CTA_ZONE in parts:
        key += struct.pack("=HH", 6, _CTA_ZONE) + parts[_CTA_ZONE] + bytes(2)
    return Flow(reply.payload[0], proto[_CTA_PROTO_NUM][0], source, destination, _addresses(answer)[0], key, port)


def list_flows(netlink: Netlink, family: int = 0) -> list[Flow]:
    """`netlink` speaks NETLINK_NETFILTER; family 0 = both."""
    head = struct.pack("!BBH", family, 0, 0)
    return [parse_flow(reply) for reply in netlink.query(Message(_CT_GET, NLM_F_DUMP, head, "list connections"))]


def delete_flow(flow: Flow) -> Message:
    head = struct.pack("!BBH", flow.family, 0, 0)
    return Message(_CT_DELETE, 0, head + flow.key, f"forget connection {flow.source} -> {flow.destination}", frozenset({errno.ENOENT}))


def flush_flows(netlink: Netlink, addresses: Iterable[IPAddress] = (), *, protocol: int = 0, ports: Iterable[int] = ()) -> int:
    """Forget every flow from or to (also by address translation) one of the addresses, and those to one of the ports; protocol 0 =
    all. Returns how many."""
    wanted, called = set(addresses), set(ports)
    hit = [
        flow
        for flow in list_flows(netlink)
        if protocol in (0, flow.protocol)
        and (flow.port in called or not wanted.isdisjoint((flow.source, flow.destination, flow.answered_by)))
    ]
    for start in range(0, len(hit), 256):
        netlink.run([delete_flow(flow) for flow in hit[start : start + 256]])
    return len(hit)
