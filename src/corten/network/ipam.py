"""Addresses: which subnet a new network gets, and which address a new endpoint. Pure; the state is in memory and made anew from
the stored networks and the live containers when the daemon starts.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from corten.errors import Denied, Invalid

Network = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Pool:
    """A range that is cut into subnets of prefix length `size`."""

    base: Network
    size: int

    def subnets(self) -> Iterator[Network]:
        return iter(self.base.subnets(new_prefix=self.size))


DEFAULT_POOLS = (
    *(Pool(ip_network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    Pool(ip_network("192.168.0.0/16"), 20),
)
"""Docker's: fifteen /16 and sixteen /20."""


def parse_pool(base: str, size: int) -> Pool:
    """Raises Invalid for what is no network or cannot be cut that way."""
    try:
        network = ip_network(base)
    except ValueError as error:
        raise Invalid(f"invalid address pool {base}: {error}", reason="bad-address-pool") from error
    if not network.prefixlen <= size <= network.max_prefixlen - 2:
        raise Invalid(f"invalid address pool {base}: cannot be cut into networks of size {size}", reason="bad-address-pool")
    return Pool(network, size)


def overlaps(network: Network, taken: Iterable[Network]) -> bool:
    return any(network.version == other.version and network.overlaps(other) for other in taken)


def choose_subnet(pools: Iterable[Pool], version: int, taken: Collection[Network]) -> Network:
    """The first subnet of the pools that overlaps nothing of `taken` (networks, host routes). Raises Denied when none is left."""
    for pool in pools:
        if pool.base.version != version:
            continue
        rivals = [network for network in taken if overlaps(pool.base, [network])]
        for subnet in pool.subnets():
            if not overlaps(subnet, rivals):
                return subnet
    raise Denied(
        "all predefined address pools have been fully subnetted",
        reason="address-pools-exhausted",
        hint="remove unused networks (network prune), name a --subnet, or add pools by --default-address-pool",
    )


def unique_local_pool(seed: bytes) -> Pool:
    """The host's own IPv6 pool (RFC 4193): fd00::/8, 40 bits of `seed`, cut into /64."""
    return Pool(IPv6Network((b"\xfd" + seed[:5] + bytes(10), 48)), 64)


class AddressSpace:
    """The addresses of one subnet. `ip_range` narrows what is handed out unasked; asked for, every address of the subnet is given."""

    def __init__(self, subnet: Network, *, ip_range: Network | None = None, reserved: Iterable[IPAddress] = ()) -> None:
        self.subnet = subnet
        first, last = int((ip_range or subnet).network_address), int((ip_range or subnet).broadcast_address)
        self._edges = self._outside(subnet)
        self._first, self._last = first, last
        self._used: set[int] = {int(address) for address in reserved}
        self._next = first

    @staticmethod
    def _outside(subnet: Network) -> set[int]:
        """The network's own and its broadcast address; both are usable in a /31, /32, /127 and /128."""
        if subnet.max_prefixlen - subnet.prefixlen < 2:
            return set()
        edges = {int(subnet.network_address)}
        if subnet.version == 4:
            edges.add(int(subnet.broadcast_address))
        return edges

    def _address(self, number: int) -> IPAddress:
        return IPv4Address(number) if self.subnet.version == 4 else IPv6Address(number)

    @property
    def used(self) -> int:
        return len(self._used)

    def allocate(self) -> IPAddress | None:
        """The lowest free address, or None."""
        candidate = self._next
        while candidate in self._used or candidate in self._edges:
            candidate += 1
        if candidate > self._last:
            return None
        self._used.add(candidate)
        self._next = candidate + 1
        return self._address(candidate)

    def claim(self, address: IPAddress) -> None:
        """Take this very address. Raises Denied when somebody has it (the network's own and its broadcast address are always
        taken), Invalid when it is not of this subnet."""
        number = int(address)
        if address not in self.subnet:
            raise Invalid(f"requested address {address} is not usable in subnet {self.subnet}", reason="address-outside-subnet")
        if number in self._edges:
            raise Denied("Address already in use", reason="address-in-use", hint=f"{address} is the network's own")
        if number in self._used:
            raise Denied("Address already in use", reason="address-in-use", hint=f"{address} belongs to another container")
        self._used.add(number)

    def release(self, address: IPAddress) -> None:
        """Idempotent."""
        number = int(address)
        self._used.discard(number)
        if self._first <= number < self._next:
            self._next = number
