"""A name server of the tests' own, in any namespace, that behaves as the name it is asked for says."""

import os
import select
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dnslib import QTYPE, RCODE, RR, TXT, A, DNSRecord

from corten.kernel.namespaces import CLONE_NEWNET, setns
from tests.integration.network_world import Caller

GOOD, BAD = "192.0.2.1", "192.0.2.66"
MANY = [f"192.0.2.{number}" for number in range(1, 101)]


@contextmanager
def upstream(caller: Caller, host: str = "0.0.0.0", says: str = GOOD) -> Iterator[None]:
    """Answers on `host`:53, udp and tcp. Names: `big.…` is cut over udp, `edns.…` tells what the question's OPT said, `forged.…` is
    answered falsely three times before it is answered, `refused.…` is refused; everything else is `says`."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            fd = os.open(f"/proc/{caller.pid}/ns/net", os.O_RDONLY)
            setns(fd, CLONE_NEWNET)
            _serve(host, says, told)
        os._exit(0)
    os.close(told)
    try:
        assert os.read(ready, 1) == b"r", "the name server did not start"
        yield
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _serve(host: str, says: str, report: int) -> None:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for sock in (udp, tcp):
        sock.bind((host, 53))
    tcp.listen()
    os.write(report, b"r")
    while True:
        for sock in select.select([udp, tcp], [], [])[0]:
            with suppress(OSError, ValueError):
                _answer_datagram(udp, says) if sock is udp else _answer_stream(tcp, says)


def _answer_datagram(udp: socket.socket, says: str) -> None:
    query, peer = udp.recvfrom(65535)
    record = DNSRecord.parse(query)
    name = str(record.q.qname)
    if name.startswith("big."):
        reply = record.reply()
        reply.header.tc = 1
        udp.sendto(reply.pack(), peer)
        return
    if name.startswith("forged."):
        _forge(udp, record, peer)
    udp.sendto(_reply(record, name, says), peer)


def _forge(udp: socket.socket, record: DNSRecord, peer: tuple[str, int]) -> None:
    """Under another id, to another question, and from another port."""
    false = _reply(record, "", BAD)
    udp.sendto(bytes([false[0] ^ 1]) + false[1:], peer)
    other = DNSRecord.question("other.example")
    other.header.id = record.header.id
    udp.sendto(_reply(other, "", BAD), peer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(false, peer)


def _answer_stream(tcp: socket.socket, says: str) -> None:
    connection, _ = tcp.accept()
    with connection:
        connection.settimeout(2)
        (length,) = struct.unpack("!H", connection.recv(2))
        record = DNSRecord.parse(connection.recv(length))
        reply = _reply(record, str(record.q.qname), says)
        connection.sendall(struct.pack("!H", len(reply)) + reply)


def _reply(record: DNSRecord, name: str, says: str) -> bytes:
    reply = record.reply()
    if name.startswith("refused."):
        reply.header.rcode = RCODE.REFUSED
    elif name.startswith("big."):
        for address in MANY:
            reply.add_answer(RR(record.q.qname, QTYPE.A, rdata=A(address), ttl=5))
    elif name.startswith("edns."):
        sizes = [str(extra.rclass) for extra in record.ar if extra.rtype == QTYPE.OPT]
        reply.add_answer(RR(record.q.qname, QTYPE.TXT, rdata=TXT(",".join(sizes) or "none"), ttl=5))
        for extra in record.ar:
            reply.add_ar(extra)
    else:
        reply.add_answer(RR(record.q.qname, QTYPE.A, rdata=A(says), ttl=5))
    packed: bytes = reply.pack()
    return packed
