"""The server's sockets inside a container's namespace, and the rules that make them answer on port 53. In the network thread.

The sockets have ports of their own, so that a container may run a name server on port 53 itself. Four stateless rules rewrite
port numbers on the way out of a process; nothing is tracked, so questions fill no table and other traffic pays nothing.
"""

import errno
import socket
from dataclasses import dataclass

from corten.kernel.nftables import expressions as e
from corten.kernel.nftables.batch import Chain, NftSocket, define_table
from corten.network.hostfiles import EMBEDDED_SERVER

_TABLE = "corten-dns"
_PORT = 53
_MANGLE = -150
_ADDRESS = socket.inet_aton(EMBEDDED_SERVER)
_CHECKSUM_AT = {e.PROTO_UDP: 6, e.PROTO_TCP: 16}
_BACKLOG = 64


@dataclass(slots=True)
class DnsSockets:
    """Not blocking; the holder closes them."""

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def open_dns(*, fresh: bool = False) -> DnsSockets:
    """Call inside the namespace. What an earlier daemon left there is replaced; in a `fresh` one there is nothing, and that spares
    10 ms: the kernel closes the socket of a transaction that deleted something only after a grace period."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        udp.bind((EMBEDDED_SERVER, 0))
        tcp.bind((EMBEDDED_SERVER, 0))
        tcp.listen(_BACKLOG)
        _redirect(udp.getsockname()[1], tcp.getsockname()[1], fresh=fresh)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return DnsSockets(udp, tcp)


def _rewrite(protocol: int, *, incoming: bool, port: int) -> bytes:
    """Questions: destination port 53 becomes `port`. Answers: source port `port` becomes 53."""
    address_at, port_at = (16, 2) if incoming else (12, 0)
    old, new = (_PORT, port) if incoming else (port, _PORT)
    return (
        e.family_is(e.NFPROTO_IPV4)
        + e.load_payload(1, address_at, 4)
        + e.compare(_ADDRESS)
        + e.load_l4_protocol()
        + e.compare(bytes([protocol]))
        + e.load_payload(2, port_at, 2)
        + e.compare(old.to_bytes(2, "big"))
        + e.immediate(new.to_bytes(2, "big"))
        + e.store_payload(2, port_at, 2, checksum_at=_CHECKSUM_AT[protocol])
    )


def _redirect(udp_port: int, tcp_port: int, *, fresh: bool) -> None:
    rules = [
        _rewrite(protocol, incoming=incoming, port=port)
        for protocol, port in ((e.PROTO_UDP, udp_port), (e.PROTO_TCP, tcp_port))
        for incoming in (True, False)
    ]
    chain = Chain(name="output", hook="output", priority=_MANGLE, rules=tuple(rules))
    nft = NftSocket()
    try:
        nft.run(define_table(_TABLE, (), (chain,), fresh=fresh))
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"redirecting {EMBEDDED_SERVER}:53: {error}") from error
    finally:
        nft.close()
