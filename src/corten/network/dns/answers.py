"""Questions about containers and their answers as bytes (RFC 1035, RFC 6891). Pure: what is not ours to answer is None."""

import secrets
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from corten.lazy import LazyModule
from corten.network.dns.directory import Directory, IPAddress, View

if TYPE_CHECKING:
    import dnslib
else:
    dnslib = LazyModule("dnslib")

TTL = 600
PLAIN_SIZE = 512
_EDNS_SIZE = 1232
_TRUNCATED = 0x02
_HEADER = 12
_FORMERR, _SERVFAIL, _NOTIMP = 1, 2, 4


def parse(query: bytes) -> "dnslib.DNSRecord | None":
    """A standard query with one question; None for anything else."""
    try:
        record = dnslib.DNSRecord.parse(query)
    except (dnslib.DNSError, ValueError, IndexError, struct.error):
        return None
    if record.header.qr or record.header.opcode or len(record.questions) != 1 or record.q.qclass != dnslib.CLASS.IN:
        return None
    return record


def reverse_address(name: str) -> IPAddress | None:
    """The address that a name under in-addr.arpa or ip6.arpa asks for."""
    labels = name.lower().removesuffix(".").split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return IPv4Address(".".join(reversed(labels[:4])))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            return IPv6Address(int("".join(reversed(labels[:32])), 16))
    except ValueError:
        return None
    return None


def answer(record: "dnslib.DNSRecord", directory: Directory, view: View) -> list[bytes] | None:
    """The answers to one question, all equally right: with several addresses each starts with another one, so that answering in
    turn spreads the load. None: the name is nobody's here."""
    name = str(record.q.qname).removesuffix(".")
    if record.q.qtype == dnslib.QTYPE.PTR:
        address = reverse_address(name)
        found = directory.find_name(view, address) if address is not None else None
        return None if found is None else [_pack(record, [dnslib.PTR(found)])]
    addresses = directory.find(view, name)
    if addresses is None:
        return None
    if record.q.qtype == dnslib.QTYPE.A:
        data = [dnslib.A(str(address)) for address in addresses if address.version == 4]
    elif record.q.qtype == dnslib.QTYPE.AAAA:
        data = [dnslib.AAAA(str(address)) for address in addresses if address.version == 6]
    else:
        data = []
    return [_pack(record, data[turn:] + data[:turn]) for turn in range(max(1, min(len(data), 16)))]


def _pack(record: "dnslib.DNSRecord", data: Sequence[object]) -> bytes:
    reply = record.reply(ra=1, aa=0)
    for item in data:
        reply.add_answer(dnslib.RR(record.q.qname, record.q.qtype, rdata=item, ttl=TTL))
    if any(extra.rtype == dnslib.QTYPE.OPT for extra in record.ar):
        reply.add_ar(dnslib.EDNS0(udp_len=_EDNS_SIZE))
    return bytes(reply.pack())


def is_query(data: bytes) -> bool:
    """Whether somebody wants an answer to it."""
    return len(data) >= _HEADER and not data[2] & 0x80


def refusal(query: bytes) -> bytes | None:
    """NOTIMP for what is no question but an update or the like, FORMERR for several questions at once; None for one question."""
    if query[2] >> 3 & 0xF:
        return _header_only(query, _NOTIMP)
    return None if query[4:6] == b"\0\1" else _header_only(query, _FORMERR)


def _header_only(query: bytes, code: int) -> bytes:
    """Id, operation and the wish for recursion are the query's."""
    return query[:2] + bytes([0x80 | query[2] & 0x79, 0x80 | code]) + bytes(8)


def failure(query: bytes) -> bytes:
    """SERVFAIL for a query that could not be passed on."""
    record = parse(query)
    if record is None:
        return _header_only(query, _SERVFAIL)
    reply = record.reply(ra=1, aa=0)
    reply.header.rcode = dnslib.RCODE.SERVFAIL
    return bytes(reply.pack())


def size_limit(record: "dnslib.DNSRecord") -> int:
    """How long an answer over UDP may be."""
    for extra in record.ar:
        if extra.rtype == dnslib.QTYPE.OPT:
            return max(PLAIN_SIZE, min(int(extra.rclass), 4096))
    return PLAIN_SIZE


def truncated(reply: bytes, record: "dnslib.DNSRecord") -> bytes:
    """The reply with no records and the flag that makes the client ask again over TCP."""
    short = record.reply(ra=1, aa=0)
    data = bytearray(short.pack())
    data[2] |= _TRUNCATED
    return bytes(data)


def with_new_id(query: bytes) -> tuple[bytes, bytes]:
    """(the query under an id that nobody can guess, the id)."""
    new = secrets.token_bytes(2)
    return new + query[2:], new


def answers_to(query: bytes, reply: bytes) -> bool:
    """Whether a reply is to this query: the same id and, where it repeats one, the same question."""
    if len(reply) < 12 or reply[:2] != query[:2] or not reply[2] & 0x80:
        return False
    if reply[4:6] != b"\0\1":
        return reply[4:6] == b"\0\0"
    end = _question_end(query)
    return reply[12:end].lower() == query[12:end].lower()


def _question_end(query: bytes) -> int:
    offset = 12
    while offset < len(query) and query[offset]:
        offset += query[offset] + 1
    return offset + 5


def is_server_failure(reply: bytes) -> bool:
    """SERVFAIL, NOTIMP or REFUSED: the next server may know better."""
    return reply[3] & 0x0F in (2, 4, 5)


def parse_server(text: str) -> tuple[str, int]:
    """A nameserver line's address as a socket's."""
    return str(ip_address(text.split("%", 1)[0])) + ("%" + text.split("%", 1)[1] if "%" in text else ""), 53
