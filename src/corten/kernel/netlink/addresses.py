"""Addresses of links (rtnetlink(7), RTM_*ADDR)."""

import errno
import struct
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from corten.kernel.netlink.codec import NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, Message, Reply, attribute, attributes, u32
from corten.kernel.netlink.socket import Netlink

RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_BROADCAST = 4
_IFA_FLAGS = 8
_IFA_F_NODAD = 0x02
_FAMILY = {4: 2, 6: 10}

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Address:
    link: int
    interface: Interface


def _payload(link: int, interface: Interface) -> bytes:
    packed = interface.ip.packed
    head = struct.pack("=BBBBI", _FAMILY[interface.version], interface.network.prefixlen, 0, 0, link)
    return head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)


def add_address(link: int, interface: Interface, *, replace: bool = False) -> Message:
    """An IPv6 address is usable at once: no duplicate detection, because the engine hands out every address on its networks."""
    payload = _payload(link, interface)
    if interface.version == 4 and interface.network.prefixlen < 31:
        payload += attribute(_IFA_BROADCAST, interface.network.broadcast_address.packed)
    elif interface.version == 6:
        payload += u32(_IFA_FLAGS, _IFA_F_NODAD)
    flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return Message(RTM_NEWADDR, flags, payload, f"add address {interface} to link {link}")


def delete_address(link: int, interface: Interface) -> Message:
    gone = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})
    return Message(RTM_DELADDR, 0, _payload(link, interface), f"delete address {interface} of link {link}", gone)


def parse_address(reply: Reply) -> Address | None:
    """None for families other than IP."""
    family, prefix, _flags, _scope, link = struct.unpack_from("=BBBBI", reply.payload)
    found = attributes(reply.payload[8:])
    value = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if family not in _FAMILY.values() or value is None:
        return None
    return Address(link, ip_interface((value, prefix)))


def list_addresses(netlink: Netlink, link: int = 0) -> list[Address]:
    """Of one link, or of all."""
    head = struct.pack("=BBBBI", 0, 0, 0, 0, 0)
    replies = netlink.query(Message(RTM_GETADDR, NLM_F_DUMP, head, "list addresses"))
    found = [parse_address(reply) for reply in replies]
    return [address for address in found if address is not None and link in (0, address.link)]
