"""Taking an engine's networks off the host for good: what a daemon leaves for its containers when it ends, and nobody takes up again."""

from corten.errors import Conflict
from corten.kernel.netlink import links
from corten.kernel.netlink.socket import Netlink
from corten.network.firewall import Firewall
from corten.network.gate import gate_of, remove_gate


def remove_networks(table: str, owner: str) -> list[str]:
    """Bridges, gate, policy rules and tables of the engine of that table and owner; the names of the links that went. Idempotent.

    The engine must not run. Raises Conflict, and removes nothing, while containers are on its bridges.
    """
    with Netlink() as netlink:
        present = links.list_links(netlink)
        bridges = [link for link in present if link.kind == "bridge" and link.alias == owner]
        indexes = {link.index for link in bridges}
        if busy := sorted(link.name for link in present if link.master in indexes):
            raise Conflict(
                f"containers still run on these networks, by the links {', '.join(busy)}",
                reason="networks-in-use",
                hint="start the daemon again and remove them",
            )
        gate = gate_of(table)
        gone = [link for link in present if link.index in indexes or link.name == gate.out]
        remove_gate(netlink, gate)
        netlink.run([links.delete_link(link.index) for link in bridges])
    firewall = Firewall(table)
    firewall.open()
    try:
        firewall.remove()
    finally:
        firewall.close()
    return sorted(link.name for link in gone)
