"""Who has which address on which network, in memory: made anew from stored networks and live containers at start-up."""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from corten.engine.networks.network import Network
from corten.engine.values.container import EndpointConfig
from corten.errors import EngineError, Unavailable
from corten.network.ipam import AddressSpace, IPAddress

Interface = IPv4Interface | IPv6Interface


class Addressing:
    def __init__(self) -> None:
        self._spaces: dict[str, list[AddressSpace]] = {}

    def allocate(self, network: Network, config: EndpointConfig) -> tuple[Interface, ...]:
        """An address of each family of the network: the wanted one, or the lowest that is free. Raises Denied "Address already in
        use", Unavailable when the network is full; nothing is taken then."""
        taken: list[Interface] = []
        try:
            for version, wanted in ((4, config.ipv4_address), (6, config.ipv6_address)):
                spaces = [space for space in self._of(network) if space.subnet.version == version]
                if spaces:
                    taken.append(_take(network, spaces, wanted))
        except EngineError:
            self.release(network, taken)
            raise
        return tuple(taken)

    def claim(self, network: Network, interfaces: Iterable[Interface]) -> None:
        """Take what a live container has. An address of a subnet that is gone, or of somebody else, is left alone."""
        for interface in interfaces:
            for space in self._of(network):
                if interface.ip in space.subnet:
                    try:
                        space.claim(interface.ip)
                    except EngineError:
                        continue

    def release(self, network: Network, interfaces: Iterable[Interface]) -> None:
        """Idempotent."""
        for interface in interfaces:
            for space in self._of(network):
                if interface.ip in space.subnet:
                    space.release(interface.ip)

    def forget(self, network: Network) -> None:
        self._spaces.pop(network.id, None)

    def _of(self, network: Network) -> list[AddressSpace]:
        spaces = self._spaces.get(network.id)
        if spaces is None:
            spaces = self._spaces[network.id] = [pool.address_space() for pool in network.pools]
        return spaces


def _take(network: Network, spaces: list[AddressSpace], wanted: str) -> Interface:
    if wanted:
        address = ip_address(wanted)
        space = next((space for space in spaces if address in space.subnet), spaces[0])
        space.claim(address)
        return _with_prefix(address, space)
    for space in spaces:
        free = space.allocate()
        if free is not None:
            return _with_prefix(free, space)
    raise Unavailable(
        f"no available IPv{spaces[0].subnet.version} addresses on this network's address pools: {network.name} ({network.id})",
        reason="no-address",
    )


def _with_prefix(address: IPAddress, space: AddressSpace) -> Interface:
    return ip_interface((address, space.subnet.prefixlen))
