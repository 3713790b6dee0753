"""The firewall as values: one table, its sets, maps and chains, and the elements that networks and published ports add. Pure.

A packet's way, v4 (v6 is the same with its own maps):

    from outside ──▶ guard ──▶ dstnat (a published port: marked) ──▶ the host's input chains ──▶ gate ──▶ in again by the gate
    by the gate ───▶ guard ──▶ dstnat (maps ports4_at, ports4) ──▶ forward ──▶ srcnat ──▶ bridge ──▶ container
    container ─────▶ guard ──▶ dstnat ──▶ source ──────────────▶ forward ──▶ srcnat (masquerade) ──▶ outside
    host process ──▶ local (the same maps, also for 127.0.0.1) ─────────────▶ srcnat ──▶ bridge ──▶ container

What the gate is stands in `corten.network.gate`. The table only drops or translates; it accepts nothing on behalf of others, so a
host firewall with chains of its own keeps its say. Rules never change: networks and ports are elements.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from corten.kernel.nftables import expressions as e
from corten.kernel.nftables.batch import (
    SET_INTERVAL,
    TYPE_INTERFACE,
    TYPE_IPV4,
    TYPE_IPV6,
    TYPE_PORT,
    TYPE_PROTOCOL,
    Chain,
    Element,
    Set,
    concat_type,
)

PROTOCOLS = {"tcp": e.PROTO_TCP, "udp": e.PROTO_UDP, "sctp": e.PROTO_SCTP}
_RAW, _DSTNAT, _FILTER, _SRCNAT = -300, -100, 0, 100
_LOOPBACK_MASK, _LOOPBACK = b"\xff\0\0\0", b"\x7f\0\0\0"
_IPV6_LOOPBACK = bytes(15) + b"\1"
_DATA = 8  # the register into which maps give address and port

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Elements = dict[str, list[Element]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRules:
    """What the firewall must know of one bridge. `icc`: its containers may talk to each other. `masquerade`: what leaves takes the
    host's address. `open`: reachable from outside on every port, without publishing (gateway mode nat-unprotected)."""

    bridge: str
    subnets: tuple[Network, ...]
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """`host_address` None = every address of this host, of the container address' family. `routed`: no translation, the container's
    own address is opened (gateway mode routed). `source`: nothing is published; this neighbour may reach the port where neighbours
    otherwise may not (--link with --icc=false)."""

    protocol: str
    host_address: IPAddress | None
    host_port: int
    address: IPAddress
    port: int
    routed: bool = False
    source: IPAddress | None = None


_MAP4 = {"data_length": 8, "data_type": concat_type(TYPE_IPV4, TYPE_PORT)}
_MAP6 = {"data_length": 20, "data_type": concat_type(TYPE_IPV6, TYPE_PORT)}
_AT4, _AT6 = concat_type(TYPE_IPV4, TYPE_PROTOCOL, TYPE_PORT), concat_type(TYPE_IPV6, TYPE_PROTOCOL, TYPE_PORT)
_ANY = concat_type(TYPE_PROTOCOL, TYPE_PORT)

SETS = (
    Set(name="bridges", key_length=16, key_type=TYPE_INTERFACE),
    Set(name="direct", key_length=16, key_type=TYPE_INTERFACE),
    Set(name="same", key_length=32, key_type=concat_type(TYPE_INTERFACE, TYPE_INTERFACE)),
    Set(name="internal", key_length=16, key_type=TYPE_INTERFACE),
    Set(name="open", key_length=16, key_type=TYPE_INTERFACE),
    Set(name="uplinks", key_length=16, key_type=TYPE_INTERFACE),
    Set(name="subnets4", key_length=4, key_type=TYPE_IPV4, flags=SET_INTERVAL),
    Set(name="subnets6", key_length=16, key_type=TYPE_IPV6, flags=SET_INTERVAL),
    Set(name="masq4", key_length=4, key_type=TYPE_IPV4, flags=SET_INTERVAL),
    Set(name="masq6", key_length=16, key_type=TYPE_IPV6, flags=SET_INTERVAL),
    Set(name="ports4", key_length=8, key_type=_ANY, **_MAP4),
    Set(name="ports4_at", key_length=12, key_type=_AT4, **_MAP4),
    Set(name="ports6", key_length=8, key_type=_ANY, **_MAP6),
    Set(name="ports6_at", key_length=24, key_type=_AT6, **_MAP6),
    Set(name="routed4", key_length=12, key_type=_AT4),
    Set(name="routed6", key_length=24, key_type=_AT6),
    Set(name="linked4", key_length=16, key_type=concat_type(TYPE_IPV4, TYPE_IPV4, TYPE_PROTOCOL, TYPE_PORT)),
)


def _is_loopback(offset: int) -> bytes:
    return e.load_payload(1, offset, 4) + e.mask(_LOOPBACK_MASK) + e.compare(_LOOPBACK)


def _load_destination(family: int) -> bytes:
    """address . protocol . port into the registers from 0 on."""
    words = 1 if family == e.NFPROTO_IPV4 else 4
    return e.load_ip_destination(family) + e.load_l4_protocol(words) + e.load_destination_port(words + 1)


def _translate(family: int, *, to_loopback: bool, direct: bool = False) -> tuple[bytes, bytes]:
    """A port published on one address goes before one that is published on all. `direct`: only of packets from certain links."""
    words = 1 if family == e.NFPROTO_IPV4 else 4
    statement = e.dnat(family, address=_DATA, port=_DATA + words)
    where = e.load_input_name() + e.lookup("direct") if direct else b""
    return _published(family, where, statement, to_loopback=to_loopback)


def _published(family: int, where: bytes, statement: bytes, *, to_loopback: bool = False) -> tuple[bytes, bytes]:
    """The statement for packets to published ports."""
    digit, data = ("4" if family == e.NFPROTO_IPV4 else "6"), _DATA
    at_address = e.family_is(family) + where + _load_destination(family) + e.lookup(f"ports{digit}_at", into=data) + statement
    not_loopback = b""
    if to_loopback and family == e.NFPROTO_IPV6:  # ::1 never leaves the host: the kernel cannot route it to a bridge
        not_loopback = e.load_ip_destination(family) + e.compare(_IPV6_LOOPBACK, equal=False)
    key = e.load_l4_protocol(0) + e.load_destination_port(1)
    anywhere = (
        e.family_is(family) + where + not_loopback + e.destination_is_local() + key + e.lookup(f"ports{digit}", into=data) + statement
    )
    return at_address, anywhere


def _from_bridge(extra: bytes) -> bytes:
    return e.load_input_name() + e.lookup("bridges") + extra


def _to_bridge(extra: bytes, *, absent: bool = False) -> bytes:
    return e.load_output_name() + e.lookup("bridges", absent=absent) + extra


def _guard() -> Chain:
    """With route_localnet a bridge would carry 127.0.0.0/8; nothing from a container may come from or go to it."""
    from_loopback = _from_bridge(e.family_is(e.NFPROTO_IPV4) + _is_loopback(12) + e.drop())
    to_loopback = _from_bridge(e.family_is(e.NFPROTO_IPV4) + _is_loopback(16) + e.drop())
    return Chain(name="guard", hook="prerouting", priority=_RAW, rules=(from_loopback, to_loopback))


def _dstnat(mark: int) -> Chain:
    """127.0.0.1 is not for packets that come from outside, also where somebody switched route_localnet on everywhere."""
    loopback = e.family_is(e.NFPROTO_IPV4) + _is_loopback(16) + e.accept()
    families = (e.NFPROTO_IPV4, e.NFPROTO_IPV6)
    rules = [loopback, *(rule for family in families for rule in _translate(family, to_loopback=False, direct=mark != 0))]
    if mark:
        statement = e.immediate(struct.pack("=I", mark)) + e.set_connection_mark()
        rules += [rule for family in families for rule in _published(family, b"", statement)]
    return Chain(name="dstnat", hook="prerouting", priority=_DSTNAT, kind="nat", rules=tuple(rules))


def _local() -> Chain:
    rules = (*_translate(e.NFPROTO_IPV4, to_loopback=True), *_translate(e.NFPROTO_IPV6, to_loopback=True))
    return Chain(name="local", hook="output", priority=_DSTNAT, kind="nat", rules=rules)


def _linked() -> bytes:
    """A neighbour that is linked to the other, and a port that one exposes."""
    family = e.NFPROTO_IPV4
    ends = e.load_ip_source(family) + e.load_ip_destination(family, 1)
    return e.family_is(family) + ends + e.load_l4_protocol(2) + e.load_destination_port(3) + e.lookup("linked4")


def _source() -> Chain:
    """A container that sends under a foreign address is stopped at the first packet: the answers would be let in to whoever has it,
    also where nothing leads in otherwise. After translation, when it is known whether the packet is for this host. An internal network
    is left out: nothing is forwarded from it, the host need not be on it, and with br_netfilter neighbours' packets pass here too."""
    external = e.load_input_name() + e.lookup("internal", absent=True)
    rules = (
        e.connection_state(e.CT_ESTABLISHED | e.CT_RELATED) + e.accept(),
        _from_bridge(external + e.source_is_elsewhere() + e.destination_is_unicast() + e.drop()),
    )
    return Chain(name="source", hook="prerouting", priority=_DSTNAT + 10, rules=rules)


def _forward() -> Chain:
    rules = (
        e.connection_state(e.CT_ESTABLISHED | e.CT_RELATED) + e.accept(),
        e.load_input_name(0) + e.load_output_name(4) + e.lookup("same") + e.accept(),
        e.load_input_name() + e.lookup("internal") + e.drop(),
        e.load_output_name() + e.lookup("internal") + e.drop(),
        e.destination_translated() + e.accept(),
        e.family_is(e.NFPROTO_IPV4) + _load_destination(e.NFPROTO_IPV4) + e.lookup("routed4") + e.accept(),
        e.family_is(e.NFPROTO_IPV6) + _load_destination(e.NFPROTO_IPV6) + e.lookup("routed6") + e.accept(),
        e.load_output_name() + e.lookup("open") + e.load_input_name() + e.lookup("bridges", absent=True) + e.accept(),
        _linked() + e.accept(),
        _to_bridge(e.drop()),
        e.load_input_name() + e.lookup("uplinks") + e.load_output_name() + e.lookup("uplinks") + e.drop(),
    )
    return Chain(name="forward", hook="forward", priority=_FILTER, rules=rules)


def _source_in(family: int, name: str) -> bytes:
    return e.family_is(family) + e.load_ip_source(family) + e.lookup(name)


def _srcnat() -> Chain:
    """Hairpin: a container that reaches a published port by the host's address must be answered through the host."""
    v4, v6 = e.NFPROTO_IPV4, e.NFPROTO_IPV6
    translated = e.destination_translated()
    rules = (
        _to_bridge(translated + e.family_is(v4) + _is_loopback(12) + e.masquerade()),
        _to_bridge(translated + _source_in(v4, "subnets4") + e.masquerade()),
        _to_bridge(translated + _source_in(v6, "subnets6") + e.masquerade()),
        _to_bridge(_source_in(v4, "masq4") + e.masquerade(), absent=True),
        _to_bridge(_source_in(v6, "masq6") + e.masquerade(), absent=True),
    )
    return Chain(name="srcnat", hook="postrouting", priority=_SRCNAT, kind="nat", rules=rules)


def chains(mark: int = 0) -> tuple[Chain, ...]:
    """`mark`: the gate's; 0 = there is no gate, and packets from outside are translated at once."""
    return (_guard(), _dstnat(mark), _source(), _local(), _forward(), _srcnat())


def gate_elements(name: str) -> Elements:
    """What comes in by the gate has passed the host's input filter."""
    return {"direct": [Element(e.interface_bytes(name))]}


def uplink_elements(names: Iterable[str]) -> Elements:
    """Where forwarding was switched on for the containers' sake only, the host still does not route between these links."""
    return {"uplinks": [Element(e.interface_bytes(name)) for name in names]}


def _interval(network: Network) -> list[Element]:
    first = Element(network.network_address.packed)
    after = int(network.broadcast_address) + 1
    if after >> network.max_prefixlen:
        return [first]
    return [first, Element(after.to_bytes(network.max_prefixlen // 8, "big"), end=True)]


def network_elements(network: NetworkRules) -> Elements:
    """set name -> elements of one network."""
    name = e.interface_bytes(network.bridge)
    found: Elements = {"bridges": [Element(name)], "direct": [Element(name)]}
    if network.icc:
        found["same"] = [Element(name + name)]
    if network.internal:
        found["internal"] = [Element(name)]
    if network.open:
        found["open"] = [Element(name)]
    for subnet in network.subnets:
        found.setdefault(f"subnets{subnet.version}", []).extend(_interval(subnet))
        if network.masquerade and not network.internal:
            found.setdefault(f"masq{subnet.version}", []).extend(_interval(subnet))
    return found


def _port_bytes(protocol: str, port: int) -> bytes:
    return struct.pack("=B3x", PROTOCOLS[protocol]) + struct.pack("!H2x", port)


def port_elements(rule: PortRule) -> Elements:
    """set or map name -> the element of one published port."""
    version = rule.address.version
    if rule.source is not None:
        return {"linked4": [Element(rule.source.packed + rule.address.packed + _port_bytes(rule.protocol, rule.port))]}
    if rule.routed:
        return {f"routed{version}": [Element(rule.address.packed + _port_bytes(rule.protocol, rule.port))]}
    data = rule.address.packed + struct.pack("!H2x", rule.port)
    key = _port_bytes(rule.protocol, rule.host_port)
    if rule.host_address is None:
        return {f"ports{version}": [Element(key, data)]}
    return {f"ports{version}_at": [Element(rule.host_address.packed + key, data)]}


def merge(parts: list[Elements]) -> Elements:
    found: Elements = {}
    for part in parts:
        for name, elements in part.items():
            found.setdefault(name, []).extend(elements)
    return found
