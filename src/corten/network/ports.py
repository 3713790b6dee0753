"""Published ports: which host ports are taken by whom, and the sockets that keep them from other programs.

A port is held by a bound socket that never listens: programs on the host get "address already in use" when they try to, while the
kernel translates the packets before any socket sees them. IPv6 bindings that the kernel cannot translate are listened on
(`corten.network.proxy`); that socket holds the port as well.
"""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain

from corten.errors import EngineError, Invalid
from corten.network.namespaces import read_sysctl

IPAddress = IPv4Address | IPv6Address
ANY4, ANY6 = IPv4Address("0.0.0.0"), IPv6Address("::")
_PROTOCOLS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_IN_USE = (errno.EADDRINUSE, errno.EACCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """One `-p`. `host_ip` None = every address. Host ports from `first` to `last`, 0 = any free one."""

    protocol: str
    container_port: int
    host_ip: IPAddress | None = None
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One host address and port, held. `host_ip` 0.0.0.0 or :: = every address of the family."""

    protocol: str
    container_port: int
    host_ip: IPAddress
    host_port: int


@dataclass(slots=True)
class HeldPort:
    published: Published
    socket: socket.socket | None

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def parse_port(text: str) -> tuple[int, str]:
    """ "80/tcp", "80" -> (80, "tcp")."""
    number, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if not number.isdecimal() or int(number) > 65535 or protocol not in _PROTOCOLS:
        raise Invalid(f"invalid port specification: {text!r}", reason="bad-port")
    return int(number), protocol


def parse_port_range(text: str) -> tuple[int, int]:
    """ "", "0", "8080", "8000-8010" -> (first, last); 0, 0 = any."""
    first, dash, last = text.partition("-")
    if not text:
        return 0, 0
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise Invalid(f"invalid port specification: {text!r}", reason="bad-port")
    low, high = int(first), int(last) if dash else int(first)
    if high < low or high > 65535:
        raise Invalid(f"invalid port specification: {text!r}", reason="bad-port")
    return low, high


def parse_host_ip(text: str) -> IPAddress | None:
    if not text:
        return None
    try:
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise Invalid(f"invalid IP address: {text}", reason="bad-host-ip") from error


def host_text(address: IPAddress) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def ephemeral_range() -> tuple[int, int]:
    low, high = read_sysctl("net/ipv4/ip_local_port_range", "49153 65535").split()
    return int(low), int(high)


class PortTable:
    """Who holds which host port. Belongs to the daemon's own namespace; used in the event loop (bind does not wait)."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], dict[IPAddress, HeldPort]] = {}
        self._cursor: dict[str, int] = {}

    def allocate(self, request: PublishRequest, host_ips: Iterable[IPAddress], *, target: str) -> list[HeldPort]:
        """One held port for each of `host_ips`, all with the same number. `target` ("172.17.0.2:80") is for the error text.

        Raises EngineError "Bind for 0.0.0.0:80 failed: port is already allocated" when a container has it, or the reason why the
        host refuses; nothing is held then.
        """
        addresses = list(host_ips)
        if request.first == 0:
            return self._any_port(request, addresses, target)
        failure: EngineError | None = None
        for port in range(request.first, request.last + 1):
            try:
                return self._hold_all(request, addresses, port, target)
            except EngineError as error:
                failure = failure or error
        assert failure is not None
        if request.first != request.last and failure.reason == "port-allocated":
            raise EngineError("all ports are allocated", reason="ports-exhausted")
        raise failure

    def restore(self, published: Published) -> HeldPort:
        """Hold what a live container has since before this daemon. If another program took the port meanwhile, it is the container's
        all the same: the kernel translates first."""
        request = PublishRequest(protocol=published.protocol, container_port=published.container_port)
        try:
            return self._hold(request, published.host_ip, published.host_port, "")
        except EngineError:
            held = HeldPort(published, None)
            self._held.setdefault((published.protocol, published.host_port), {}).setdefault(published.host_ip, held)
            return held

    def release(self, held: Iterable[HeldPort]) -> None:
        """Idempotent."""
        for port in held:
            port.close()
            key = (port.published.protocol, port.published.host_port)
            owners = self._held.get(key, {})
            if owners.get(port.published.host_ip) is port:
                del owners[port.published.host_ip]
            if not owners:
                self._held.pop(key, None)

    def _any_port(self, request: PublishRequest, addresses: list[IPAddress], target: str) -> list[HeldPort]:
        low, high = ephemeral_range()
        start = self._cursor.get(request.protocol, low)
        start = start if low <= start <= high else low
        for port in chain(range(start, high + 1), range(low, start)):
            try:
                held = self._hold_all(request, addresses, port, target)
            except EngineError as error:
                if error.reason not in ("port-allocated", "port-in-use"):
                    raise
                continue
            self._cursor[request.protocol] = port + 1
            return held
        raise EngineError("all ports are allocated", reason="ports-exhausted")

    def _hold_all(self, request: PublishRequest, addresses: list[IPAddress], port: int, target: str) -> list[HeldPort]:
        held: list[HeldPort] = []
        try:
            for address in addresses:
                held.append(self._hold(request, address, port, target))
        except EngineError:
            self.release(held)
            raise
        return held

    def _hold(self, request: PublishRequest, address: IPAddress, port: int, target: str) -> HeldPort:
        owners = self._held.setdefault((request.protocol, port), {})
        wildcard = ANY4 if address.version == 4 else ANY6
        rivals = {other for other in owners if other.version == address.version}
        if address in rivals or wildcard in rivals or (address == wildcard and rivals):
            rival = wildcard if wildcard in rivals else address if address in rivals else min(rivals, key=int)
            raise EngineError(
                f"Bind for {host_text(rival)}:{port} failed: port is already allocated",
                reason="port-allocated",
                hint="another container has published it: see the PORTS column of ps",
            )
        try:
            holder = _bind(request.protocol, address, port)
        except OSError as error:
            where = f"{host_text(address)}:{port}:{target}/{request.protocol}"
            text = os.strerror(error.errno or errno.EIO)
            raise EngineError(
                f"failed to bind host port for {where}: {text[:1].lower()}{text[1:]}",
                reason="port-in-use" if error.errno in _IN_USE else "port-unbindable",
                hint="a program on the host uses the port: see `ss -ltnup`" if error.errno == errno.EADDRINUSE else None,
            ) from error
        published = Published(protocol=request.protocol, container_port=request.container_port, host_ip=address, host_port=port)
        owners[address] = held = HeldPort(published, holder)
        return held


def _bind(protocol: str, address: IPAddress, port: int) -> socket.socket | None:
    """A bound socket; None for sctp on a kernel without it (its packets are translated all the same).

    SO_REUSEADDR lets the bind pass beside connections in TIME_WAIT; taken back afterwards, it makes another program's listen fail.
    """
    kind, number = _PROTOCOLS[protocol]
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        holder = socket.socket(family, kind, number)
    except OSError as error:
        if protocol == "sctp" and error.errno == errno.EPROTONOSUPPORT:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((str(address), port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.setblocking(False)
    except OSError:
        holder.close()
        raise
    return holder
