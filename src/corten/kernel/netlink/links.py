"""Links: how to ask for bridges, veth pairs, macvlan, ipvlan and dummies, change them and read them (rtnetlink(7))."""

import errno
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from corten.kernel.netlink.codec import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    Reply,
    attribute,
    attributes,
    nested,
    text,
    u8,
    u16,
    u32,
    unpack_text,
    unpack_u32,
)
from corten.kernel.netlink.socket import Netlink, NetlinkError

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_NOARP = 0x80

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_LINK = 5
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_IFALIAS = 20
_IFLA_STATS64 = 23
_IFLA_AF_SPEC = 26
_IFLA_NET_NS_FD = 28
_IFLA_EXT_MASK = 29
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_INFO_SLAVE_KIND = 4
_IFLA_INFO_SLAVE_DATA = 5
_VETH_INFO_PEER = 1
_IFLA_MACVLAN_MODE = 1
_IFLA_IPVLAN_MODE = 1
_IFLA_IPVLAN_FLAGS = 2
_IFLA_VLAN_ID = 1
_IFLA_BRPORT_MODE = 4
_IFLA_BRPORT_ISOLATED = 33
_IFLA_INET6_ADDR_GEN_MODE = 8
_ADDR_GEN_NONE = 1
_AF_INET6 = 10
_RTEXT_FILTER_SKIP_STATS = 1 << 3

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}

_NEW = NLM_F_CREATE | NLM_F_EXCL
_GONE = frozenset({errno.ENODEV})


@dataclass(frozen=True, slots=True)
class Link:
    """`master` and `parent` are indexes, 0 = none. `kind` is "" for a real device."""

    index: int
    name: str
    flags: int
    mtu: int
    address: str
    master: int = 0
    parent: int = 0
    kind: str = ""
    alias: str = ""

    @property
    def is_up(self) -> bool:
        return bool(self.flags & IFF_UP)


@dataclass(frozen=True, slots=True)
class LinkStats:
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


def _head(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


def _target(link: str | int) -> tuple[bytes, bytes]:
    """A link is named by its index or its name."""
    return (_head(link), b"") if isinstance(link, int) else (_head(), text(_IFLA_IFNAME, link))


def parse_mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", "").replace("-", ""))


def format_mac(address: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in address)


def mac_of(address: IPv4Address) -> str:
    """A locally administered address made of an IPv4 address: whoever gets the address next has the same one, so no neighbour
    keeps a stale entry."""
    return format_mac(b"\x02\x42" + address.packed)


def new_bridge(name: str, *, mtu: int = 0, mac: str = "") -> Message:
    """A bridge with the kernel's defaults: no spanning tree, so that a new port forwards at once."""
    parts = [_head(), text(_IFLA_IFNAME, name)]
    if mac:
        parts.append(attribute(_IFLA_ADDRESS, parse_mac(mac)))
    if mtu:
        parts.append(u32(_IFLA_MTU, mtu))
    parts.append(nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge")))
    return Message(RTM_NEWLINK, _NEW, b"".join(parts), f"create bridge {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The end that goes into a namespace. `netns_fd` -1 = stay here; `index` 0 = the kernel chooses."""

    name: str
    netns_fd: int = -1
    mac: str = ""
    mtu: int = 0
    index: int = 0

    def attributes(self) -> bytes:
        parts = [text(_IFLA_IFNAME, self.name)]
        if self.netns_fd >= 0:
            parts.append(u32(_IFLA_NET_NS_FD, self.netns_fd))
        if self.mac:
            parts.append(attribute(_IFLA_ADDRESS, parse_mac(self.mac)))
        if self.mtu:
            parts.append(u32(_IFLA_MTU, self.mtu))
        return b"".join(parts)


def new_veth(name: str, inside: Inside, *, master: int = 0) -> Message:
    """A pair: `name` here (a port of bridge `master`, when given), the other end as `inside` says. Both ends are down: a flag of
    the peer would be refused with ENOTCONN at creation."""
    data = nested(_VETH_INFO_PEER, _head(inside.index), inside.attributes())
    parts = [_head(), text(_IFLA_IFNAME, name)]
    if inside.mtu:
        parts.append(u32(_IFLA_MTU, inside.mtu))
    if master:
        parts.append(u32(_IFLA_MASTER, master))
    parts.append(nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"), nested(_IFLA_INFO_DATA, data)))
    return Message(RTM_NEWLINK, _NEW, b"".join(parts), f"create veth {name}")


def _new_child(kind: str, inside: Inside, parent: int, data: bytes) -> Message:
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind), nested(_IFLA_INFO_DATA, data))
    payload = _head(inside.index) + inside.attributes() + u32(_IFLA_LINK, parent) + info
    return Message(RTM_NEWLINK, _NEW, payload, f"create {kind} {inside.name}")


def new_macvlan(inside: Inside, *, parent: int, mode: str = "bridge") -> Message:
    return _new_child("macvlan", inside, parent, u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]))


def new_ipvlan(inside: Inside, *, parent: int, mode: str = "l2", flag: str = "bridge") -> Message:
    data = u16(_IFLA_IPVLAN_MODE, IPVLAN_MODES[mode]) + u16(_IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[flag])
    return _new_child("ipvlan", inside, parent, data)


def new_vlan(name: str, *, parent: int, vlan_id: int) -> Message:
    """An 802.1q sub-interface."""
    return _new_child("vlan", Inside(name=name), parent, u16(_IFLA_VLAN_ID, vlan_id))


def new_dummy(inside: Inside) -> Message:
    payload = _head(inside.index) + inside.attributes() + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "dummy"))
    return Message(RTM_NEWLINK, _NEW, payload, f"create dummy {inside.name}")


def delete_link(link: str | int) -> Message:
    """Delete; a link that is gone already is no error. Waits for the kernel (20 ms and more): behind the answer."""
    head, name = _target(link)
    return Message(RTM_DELLINK, 0, head + name, f"delete link {link}", _GONE)


def set_link(link: str | int, *, up: bool | None = None, master: int | None = None, mac: str = "", mtu: int = 0, name: str = "") -> Message:
    """Change what is given, in one message; the kernel sets the address, then the master, then the flag. `master` 0 = none.
    `name` renames (by index only); a link that is up can be renamed since Linux 6.2."""
    assert not name or isinstance(link, int), "a link is renamed by its index"
    change = 0 if up is None else IFF_UP
    parts = [_head(link if isinstance(link, int) else 0, IFF_UP if up else 0, change)]
    if name or isinstance(link, str):
        parts.append(text(_IFLA_IFNAME, name or str(link)))
    if mac:
        parts.append(attribute(_IFLA_ADDRESS, parse_mac(mac)))
    if mtu:
        parts.append(u32(_IFLA_MTU, mtu))
    if master is not None:
        parts.append(u32(_IFLA_MASTER, master))
    wanted = {"up": up, "master": master, "mac": mac, "mtu": mtu, "name": name}
    words = " ".join(f"{key}={value}" for key, value in wanted.items() if value not in (None, "", 0) or value is False)
    return Message(RTM_NEWLINK, 0, b"".join(parts), f"set link {link} {words}")


def set_up(link: str | int) -> Message:
    return set_link(link, up=True)


def set_no_arp(link: str | int) -> Message:
    """Nobody is asked for a MAC address on this link: frames carry the link's own."""
    head = _head(link if isinstance(link, int) else 0, IFF_NOARP, IFF_NOARP)
    return Message(RTM_NEWLINK, 0, head + _target(link)[1], f"switch off ARP on {link}")


def set_alias(link: str | int, alias: str) -> Message:
    """A note for people and for us; the kernel ignores it at creation."""
    head, name = _target(link)
    return Message(RTM_NEWLINK, 0, head + name + text(_IFLA_IFALIAS, alias), f"set the alias of {link}")


def move(link: str | int, netns_fd: int) -> Message:
    head, name = _target(link)
    return Message(RTM_NEWLINK, 0, head + name + u32(_IFLA_NET_NS_FD, netns_fd), f"move link {link}")


def no_link_local(link: str | int) -> Message:
    """No automatic fe80:: address on this link."""
    head, name = _target(link)
    spec = nested(_IFLA_AF_SPEC, nested(_AF_INET6, u8(_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE)))
    return Message(RTM_NEWLINK, 0, head + name + spec, f"switch off link-local addresses of {link}")


def set_port(link: str | int, *, isolated: bool = False, hairpin: bool = False) -> Message:
    """Flags of a bridge port: an isolated port exchanges frames with the bridge itself and with ports that are not isolated."""
    head, name = _target(link)
    data = nested(_IFLA_INFO_SLAVE_DATA, u8(_IFLA_BRPORT_ISOLATED, isolated), u8(_IFLA_BRPORT_MODE, hairpin))
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_SLAVE_KIND, "bridge"), data)
    return Message(RTM_NEWLINK, 0, head + name + info, f"set flags of bridge port {link}")


def parse_link(reply: Reply) -> Link:
    _family, _type, index, flags, _change = struct.unpack_from("=BxHiII", reply.payload)
    found = attributes(reply.payload[16:])
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=unpack_text(found.get(_IFLA_IFNAME)),
        flags=flags,
        mtu=unpack_u32(found.get(_IFLA_MTU)),
        address=format_mac(found.get(_IFLA_ADDRESS, b"")),
        master=unpack_u32(found.get(_IFLA_MASTER)),
        parent=unpack_u32(found.get(_IFLA_LINK)),
        kind=unpack_text(info.get(_IFLA_INFO_KIND)),
        alias=unpack_text(found.get(_IFLA_IFALIAS)),
    )


def _question(link: str | int) -> Message:
    head, name = _target(link)
    return Message(RTM_GETLINK, 0, head + name + u32(_IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS), f"look up link {link}")


def index_of(netlink: Netlink, name: str) -> int:
    """Of a link that is there; its attributes, a tenth of a millisecond to read, are passed over."""
    index: int
    _family, _type, index, _flags, _change = struct.unpack_from("=BxHiII", netlink.query(_question(name))[0].payload)
    return index


def find_link(netlink: Netlink, link: str | int) -> Link | None:
    try:
        return parse_link(netlink.query(_question(link))[0])
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        return None


def get_link(netlink: Netlink, link: str | int) -> Link:
    """Raises OSError(ENODEV) when there is none."""
    found = find_link(netlink, link)
    if found is None:
        raise NetlinkError(errno.ENODEV, f"no such link: {link}")
    return found


def list_links(netlink: Netlink) -> list[Link]:
    return [parse_link(reply) for reply in netlink.query(Message(RTM_GETLINK, NLM_F_DUMP, _head(), "list links"))]


def link_stats(netlink: Netlink, link: str | int) -> LinkStats:
    """Counters since the link exists (struct rtnl_link_stats64)."""
    head, name = _target(link)
    reply = netlink.query(Message(RTM_GETLINK, 0, head + name, f"read counters of {link}"))[0]
    return LinkStats(*struct.unpack_from("=8Q", attributes(reply.payload[16:])[_IFLA_STATS64]))
