"""Our nft table in the kernel, kept in step with networks and published ports; each change is one atomic batch."""

import errno
from collections.abc import Iterable

from corten.kernel.netlink.codec import Message
from corten.kernel.netlink.socket import Netlink
from corten.kernel.nftables.batch import NftSocket, add_elements, define_chains, define_table, delete_elements, delete_table
from corten.kernel.nftables.dump import BaseChain, count_rules, has_table, list_base_chains, list_elements
from corten.kernel.nftables.expressions import NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6
from corten.network.gate import Gate, gate_chain
from corten.network.rules import (
    SETS,
    Elements,
    NetworkRules,
    PortRule,
    chains,
    gate_elements,
    merge,
    network_elements,
    port_elements,
    uplink_elements,
)

TABLE = "corten"


def strangers_that_drop(netlink: Netlink, table: str) -> list[BaseChain]:
    """Forward chains of others than `table` whose policy is drop: they have their say about containers' packets."""
    return [c for c in list_base_chains(netlink) if c.hook == "forward" and c.drops_by_default and c.table != table]


class Firewall:
    """Owner of the table. It remembers what must be in it, so a table that somebody flushed can be made again.

    The socket belongs to the namespace of the thread that calls `open`; all methods are for that thread.
    """

    def __init__(self, table: str = TABLE) -> None:
        self._table = table
        self._uplinks: frozenset[str] = frozenset()
        self._socket: NftSocket | None = None
        self._networks: dict[str, NetworkRules] = {}
        self._ports: set[PortRule] = set()
        self._gate: tuple[Gate, int] | None = None

    def open(self) -> None:
        self._socket = NftSocket()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def _nft(self) -> NftSocket:
        assert self._socket is not None, "Firewall.open first"
        return self._socket

    def use_gate(self, gate: Gate, out: int) -> None:
        """From the next `restore` on; `out` is the index of the gate's outer link. Raises OSError on a kernel that cannot; then there
        is none."""
        self._gate = None
        self._nft.run([m for f in (NFPROTO_IPV4, NFPROTO_IPV6) for m in define_chains(self._table, f, [gate_chain(f, gate, out)])])
        self._gate = gate, out

    def rebuild(self, networks: Iterable[NetworkRules], ports: Iterable[PortRule], *, uplinks: Iterable[str] = ()) -> None:
        """Put the whole table in place of the present one. Connections that are under way go on."""
        self._uplinks = frozenset(uplinks)
        self._networks = {network.bridge: network for network in networks}
        self._ports = set(ports)
        self.restore()

    def restore(self) -> None:
        """Write everything that is remembered."""
        messages = define_table(self._table, SETS, chains(self._gate[0].mark if self._gate else 0))
        parts = [network_elements(network) for network in self._networks.values()]
        parts += [port_elements(port) for port in self._ports]
        parts.append(uplink_elements(self._uplinks))
        if self._gate is not None:
            gate, out = self._gate
            parts.append(gate_elements(gate.into))
            for family in (NFPROTO_IPV4, NFPROTO_IPV6):
                messages += define_chains(self._table, family, [gate_chain(family, gate, out)])
        self._nft.run(messages + self._added(merge(parts)))

    def is_intact(self) -> bool:
        """Whether the tables have all their rules."""
        wanted = {NFPROTO_INET: sum(len(chain.rules) for chain in chains(self._gate[0].mark if self._gate else 0))}
        if self._gate is not None:
            wanted |= {NFPROTO_IPV4: 1, NFPROTO_IPV6: 1}
        return all(count_rules(self._nft.netlink, self._table, family=family) == number for family, number in wanted.items())

    def present_uplinks(self) -> list[str]:
        """What an earlier daemon's table says."""
        if not has_table(self._nft.netlink, self._table):
            return []
        try:
            keys = list_elements(self._nft.netlink, self._table, "uplinks")
        except FileNotFoundError:
            return []
        return [key.rstrip(b"\0").decode() for key in keys]

    def remove(self) -> None:
        """Take the table away (for tests and for an engine that is being uninstalled)."""
        for family in (NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6):
            if has_table(self._nft.netlink, self._table, family=family):
                self._nft.run([delete_table(self._table, family=family)])

    def add_network(self, network: NetworkRules) -> None:
        self._apply(self._added(network_elements(network)))
        self._networks[network.bridge] = network

    def remove_network(self, bridge: str) -> None:
        network = self._networks.pop(bridge, None)
        if network is not None:
            self._apply(self._deleted(network_elements(network)))

    def add_ports(self, ports: Iterable[PortRule]) -> None:
        fresh = [port for port in ports if port not in self._ports]
        self._apply(self._added(merge([port_elements(port) for port in fresh])))
        self._ports.update(fresh)

    def remove_ports(self, ports: Iterable[PortRule]) -> None:
        known = [port for port in ports if port in self._ports]
        self._ports.difference_update(known)
        self._apply(self._deleted(merge([port_elements(port) for port in known])))

    def _added(self, elements: Elements) -> list[Message]:
        return [message for name, members in elements.items() for message in add_elements(self._table, name, members)]

    def _deleted(self, elements: Elements) -> list[Message]:
        return [message for name, members in elements.items() for message in delete_elements(self._table, name, members)]

    def _apply(self, messages: list[Message]) -> None:
        """ENOENT: somebody took the table or an element away. EEXIST: an element stayed that is nobody's any more, of a removal that was

        cut off. What is remembered is written anew first.
        """
        try:
            self._nft.run(messages)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EEXIST):
                raise
            self.restore()
            self._retry(messages)

    def _retry(self, messages: list[Message]) -> None:
        """After a removal the restored table lacks the elements already: only an addition is sent again."""
        additions = [message for message in messages if message.what.startswith("add ")]
        self._nft.run(additions)
