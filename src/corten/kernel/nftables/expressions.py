"""The expressions of nftables rules as bytes (linux/netfilter/nf_tables.h). Pure.

A rule is a list of expressions that load values into 32-bit registers, compare them and end in a statement. Every function here
returns one expression or, where two always go together, their concatenation. Register numbers are those of NFT_REG32_00 onwards:
0, 1, 2 …; a 16-byte value takes four of them.
"""

import struct

from corten.kernel.netlink.codec import attribute, be32, nested, text

_LIST_ELEM = 1
_EXPR_NAME = 1
_EXPR_DATA = 2
_REG_VERDICT = 0
_REG32_00 = 8
_DATA_VALUE = 1
_DATA_VERDICT = 2
_VERDICT_CODE = 1
_VERDICT_CHAIN = 2

DROP = 0
ACCEPT = 1
_JUMP = -3
_GOTO = -4
_RETURN = -5

PROTO_TCP = 6
PROTO_UDP = 17
PROTO_SCTP = 132
NFPROTO_INET = 1
NFPROTO_IPV4 = 2
NFPROTO_IPV6 = 10

CT_INVALID = 1
CT_ESTABLISHED = 2
CT_RELATED = 4
CT_NEW = 8
_CT_STATUS_DNAT = 0x20
_CT_MARK = 3
RTN_UNICAST = 1
RTN_LOCAL = 2


def expression(name: str, *attributes: bytes) -> bytes:
    return nested(_LIST_ELEM, text(_EXPR_NAME, name), nested(_EXPR_DATA, *attributes))


def _register(number: int) -> int:
    return _REG32_00 + number


def value(data: bytes) -> bytes:
    """The payload of an attribute that holds plain data."""
    return attribute(_DATA_VALUE, data)


def verdict_data(code: int, chain: str = "") -> bytes:
    parts = [be32(_VERDICT_CODE, code)]
    if chain:
        parts.append(text(_VERDICT_CHAIN, chain))
    return nested(_DATA_VERDICT, *parts)


def _meta(key: int, register: int) -> bytes:
    return expression("meta", be32(2, key), be32(1, _register(register)))


def load_protocol_family(register: int = 0) -> bytes:
    """NFPROTO_*: which family this packet of an inet chain has."""
    return _meta(15, register)


def load_l4_protocol(register: int = 0) -> bytes:
    return _meta(16, register)


def load_input_name(register: int = 0) -> bytes:
    """Interface name, 16 bytes, zero-padded."""
    return _meta(6, register)


def load_output_name(register: int = 0) -> bytes:
    return _meta(7, register)


def load_mark(register: int = 0) -> bytes:
    return _meta(3, register)


def set_mark(register: int = 0) -> bytes:
    return expression("meta", be32(2, 3), be32(3, _register(register)))


def load_connection_mark(register: int = 0) -> bytes:
    return expression("ct", be32(1, _register(register)), be32(2, _CT_MARK))


def set_connection_mark(register: int = 0) -> bytes:
    return expression("ct", be32(2, _CT_MARK), be32(4, _register(register)))


def send_copy(*, address: int, device: int) -> bytes:
    """Send a copy of the packet out by the link whose index is in register `device`, to the neighbour whose address is in register
    `address` (dup, in tables of families ip and ip6 only)."""
    return expression("dup", be32(1, _register(address)), be32(2, _register(device)))


def load_payload(base: int, offset: int, length: int, register: int = 0) -> bytes:
    """Bytes of the packet; base 1 = network header, 2 = transport header."""
    return expression("payload", be32(1, _register(register)), be32(2, base), be32(3, offset), be32(4, length))


def load_ip_source(family: int, register: int = 0) -> bytes:
    return load_payload(1, 12, 4, register) if family == NFPROTO_IPV4 else load_payload(1, 8, 16, register)


def load_ip_destination(family: int, register: int = 0) -> bytes:
    return load_payload(1, 16, 4, register) if family == NFPROTO_IPV4 else load_payload(1, 24, 16, register)


def load_destination_port(register: int = 0) -> bytes:
    """Of tcp, udp and sctp alike."""
    return load_payload(2, 2, 2, register)


def compare(data: bytes, *, register: int = 0, equal: bool = True) -> bytes:
    return expression("cmp", be32(1, _register(register)), be32(2, 0 if equal else 1), nested(3, value(data)))


def mask(data: bytes, *, register: int = 0) -> bytes:
    """register &= data."""
    return expression(
        "bitwise",
        be32(1, _register(register)),
        be32(2, _register(register)),
        be32(3, len(data)),
        nested(4, value(data)),
        nested(5, value(bytes(len(data)))),
    )


def lookup(set_name: str, *, register: int = 0, into: int | None = None, absent: bool = False) -> bytes:
    """Match if the registers' value is in the set (with `absent`: if it is not); of a map, the value goes into register `into`."""
    parts = [text(1, set_name), be32(2, _register(register))]
    if into is not None:
        parts.append(be32(3, _register(into)))
    if absent:
        parts.append(be32(5, 1))
    return expression("lookup", *parts)


def verdict_map(set_name: str, *, register: int = 0) -> bytes:
    return expression("lookup", text(1, set_name), be32(2, _register(register)), be32(3, _REG_VERDICT))


def _verdict(code: int, chain: str = "") -> bytes:
    return expression("immediate", be32(1, _REG_VERDICT), nested(2, verdict_data(code, chain)))


def accept() -> bytes:
    return _verdict(ACCEPT)


def drop() -> bytes:
    return _verdict(DROP)


def jump(chain: str) -> bytes:
    return _verdict(_JUMP, chain)


def immediate(data: bytes, register: int = 0) -> bytes:
    return expression("immediate", be32(1, _register(register)), nested(2, value(data)))


def counter() -> bytes:
    return expression("counter")


def family_is(family: int) -> bytes:
    return load_protocol_family() + compare(bytes([family]))


def interface_bytes(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def input_is(name: str, *, equal: bool = True) -> bytes:
    return load_input_name() + compare(interface_bytes(name), equal=equal)


def connection_state(bits: int) -> bytes:
    """Match if the connection is in one of the states CT_*."""
    data = struct.pack("=I", bits)
    return expression("ct", be32(1, _register(0)), be32(2, 0)) + mask(data) + compare(bytes(4), equal=False)


def destination_translated() -> bytes:
    """Match packets of connections whose destination was rewritten (ct status dnat)."""
    data = struct.pack("=I", _CT_STATUS_DNAT)
    return expression("ct", be32(1, _register(0)), be32(2, 2)) + mask(data) + compare(bytes(4), equal=False)


def destination_is_local() -> bytes:
    """Match packets to an address of this host (fib daddr type local)."""
    return _destination_type(RTN_LOCAL)


def destination_is_unicast() -> bytes:
    """Match packets to another host's address (fib daddr type unicast): those that will be forwarded."""
    return _destination_type(RTN_UNICAST)


def _destination_type(kind: int) -> bytes:
    return expression("fib", be32(1, _register(0)), be32(2, 3), be32(3, 2)) + compare(struct.pack("=I", kind))


def source_is_elsewhere() -> bytes:
    """Match packets whose source no route of this host leads to by the link they came from (fib saddr . iif oif missing).

    In prerouting only: in the forward hook it is refused before Linux 5.16.
    """
    return expression("fib", be32(1, _register(0)), be32(2, 1), be32(3, 1 | 8 | 32)) + compare(b"\0")


def dnat(family: int, *, address: int, port: int) -> bytes:
    """Rewrite the destination to the address and port in these registers."""
    return expression("nat", be32(1, 1), be32(2, family), be32(3, _register(address)), be32(5, _register(port)))


def snat(family: int, *, address: int) -> bytes:
    return expression("nat", be32(1, 0), be32(2, family), be32(3, _register(address)))


def snat_port(family: int, *, address: int, port: int) -> bytes:
    return expression("nat", be32(1, 0), be32(2, family), be32(3, _register(address)), be32(5, _register(port)))


def masquerade() -> bytes:
    return expression("masq")


def store_payload(base: int, offset: int, length: int, *, checksum_at: int, register: int = 0) -> bytes:
    """Overwrite bytes of the packet; the Internet checksum at `checksum_at` in the same header is kept right."""
    return expression(
        "payload", be32(5, _register(register)), be32(2, base), be32(3, offset), be32(4, length), be32(6, 1), be32(7, checksum_at)
    )
