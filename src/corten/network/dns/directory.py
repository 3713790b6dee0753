"""Who is called what on which network. Pure; changes show at once, and `generation` tells caches that something changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Member:
    """A container on a network. `names` are all it is called there; the first is its own and answers PTR."""

    owner: str
    network: str
    network_name: str
    names: tuple[str, ...]
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What one container can see: its networks, in order, and its own link aliases (alias -> name)."""

    networks: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)


class Directory:
    def __init__(self) -> None:
        self.generation = 0
        self._names: dict[tuple[str, str], list[Member]] = {}
        self._addresses: dict[tuple[str, IPAddress], Member] = {}
        self._network_names: dict[str, str] = {}
        self._owned: dict[str, list[Member]] = {}

    def put(self, owner: str, members: Iterable[Member]) -> None:
        """In place of everything this owner had."""
        self.remove(owner)
        mine = self._owned[owner] = list(members)
        for member in mine:
            self._network_names[member.network_name.lower()] = member.network
            for name in member.names:
                self._names.setdefault((member.network, name.lower()), []).append(member)
            for address in member.addresses:
                self._addresses[member.network, address] = member

    def remove(self, owner: str) -> None:
        """Idempotent."""
        self.generation += 1
        for member in self._owned.pop(owner, ()):
            for name in member.names:
                key = (member.network, name.lower())
                holders = self._names.get(key, [])
                if member in holders:
                    holders.remove(member)
                if not holders:
                    self._names.pop(key, None)
            for address in member.addresses:
                if self._addresses.get((member.network, address)) is member:
                    del self._addresses[member.network, address]

    def find(self, view: View, name: str) -> list[IPAddress] | None:
        """Every address of a name (without the final dot), or None for a name that nobody has. The first of the view's networks
        that knows it answers; `name.network` asks one network only."""
        name = name.lower()
        name = view.links.get(name, name).lower()
        for network in view.networks:
            if holders := self._names.get((network, name)):
                return [address for member in holders for address in member.addresses]
        head, dot, tail = name.rpartition(".")
        network = self._network_names.get(tail, "") if dot else ""
        head = view.links.get(head, head).lower()
        if network in view.networks and (holders := self._names.get((network, head))):
            return [address for member in holders for address in member.addresses]
        return None

    def find_name(self, view: View, address: IPAddress) -> str | None:
        """ "name.network" of an address on one of the view's networks."""
        for network in view.networks:
            member = self._addresses.get((network, address))
            if member is not None:
                return f"{member.names[0]}.{member.network_name}"
        return None
