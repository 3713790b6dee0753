"""netlink and nftables against the kernel, in fresh namespaces."""

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import TypeVar

import pytest

from corten.kernel.namespaces import CLONE_NEWNET, setns, unshare
from corten.kernel.netlink import addresses, conntrack, links, routes
from corten.kernel.netlink.socket import NETLINK_NETFILTER, Netlink, NetlinkError
from corten.kernel.nftables.batch import Chain, Element, NftSocket, Set, add_elements, define_table, delete_elements
from corten.kernel.nftables.dump import count_rules, has_table, list_base_chains, list_elements
from corten.kernel.nftables.expressions import drop, input_is
from corten.network.firewall import Firewall
from corten.network.rules import NetworkRules, PortRule, chains
from tests.support.forked import forked

pytestmark = [pytest.mark.privileged]
T = TypeVar("T")


def isolated(body: Callable[[], T]) -> T:
    def fresh() -> T:
        unshare(CLONE_NEWNET)
        with Netlink() as netlink:
            netlink.run([links.set_up(1)])
        return body()

    return forked(fresh)


def test_a_bridge_with_a_pair_into_another_namespace() -> None:
    def body() -> tuple[bool, str, list[str], int]:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        unshare(CLONE_NEWNET)
        other, inside = os.open("/proc/self/ns/net", os.O_RDONLY), Netlink()
        setns(home, CLONE_NEWNET)
        with Netlink() as here, inside:
            here.run([links.new_bridge("br0", mtu=1400, mac="02:42:ac:11:00:01"), links.set_alias("br0", "ours")])
            bridge = links.get_link(here, "br0")
            here.run([addresses.add_address(bridge.index, ip_interface("172.17.0.1/16")), links.set_up(bridge.index)])
            end = links.Inside(name="eth0", netns_fd=other, mac="02:42:ac:11:00:02", mtu=1400, index=2)
            here.run([links.new_veth("veth0", end), links.set_link("veth0", up=True, master=bridge.index)])
            inside.run([addresses.add_address(2, ip_interface("172.17.0.2/16")), links.set_up(2), links.set_up(1)])
            inside.run([routes.default_route(ip_address("172.17.0.1"), 2)])
            found = [str(route.destination) for route in routes.list_routes(inside) if route.destination.version == 4]
            own = [str(address.interface) for address in addresses.list_addresses(inside, 2) if address.interface.version == 4]
            here.run([links.set_port("veth0", isolated=True, hairpin=True)])
            carried = links.link_stats(inside, 2).rx_errors
            assert links.get_link(here, "veth0").master == bridge.index
            return links.get_link(here, "br0").is_up, links.get_link(here, "br0").alias, sorted(own + found), carried

    assert isolated(body) == (True, "ours", ["0.0.0.0/0", "172.17.0.0/16", "172.17.0.2/16"], 0)


def test_a_batch_goes_on_after_a_refusal_and_says_what_was_refused() -> None:
    def body() -> tuple[int, str, bool]:
        with Netlink() as netlink:
            try:
                netlink.run([links.new_bridge("br0"), links.new_bridge("br0"), links.set_up("br0")])
            except NetlinkError as error:
                return error.errno or 0, str(error), links.get_link(netlink, "br0").is_up
        raise AssertionError("nothing was refused")

    code, text, is_up = isolated(body)
    assert (code, is_up) == (errno.EEXIST, True)
    assert "create bridge br0: File exists" in text


def test_what_is_not_there_is_none_and_its_deletion_fine() -> None:
    def body() -> bool:
        with Netlink() as netlink:
            netlink.run([links.delete_link("nothing"), routes.delete_route(routes.Route(ip_network("10.0.0.0/8"), 1))])
            return links.find_link(netlink, "nothing") is None

    assert isolated(body)


def test_a_transaction_is_all_or_nothing() -> None:
    def body() -> tuple[str, bool, list[bytes]]:
        nft = NftSocket()
        names = Set(name="names", key_length=16, key_type=41)
        chain = Chain(name="input", hook="input", rules=(input_is("eth7") + drop(),))
        nft.run(define_table("t", [names], [chain]))
        first, second = Element(b"a".ljust(16, b"\0")), Element(b"b".ljust(16, b"\0"))
        nft.run(add_elements("t", "names", [first]))
        try:
            nft.run([*add_elements("t", "names", [second]), *delete_elements("t", "names", [Element(bytes(16))])])
        except OSError as error:
            text = str(error)
        assert [(c.table, c.hook, c.drops_by_default) for c in list_base_chains(nft.netlink)] == [("t", "input", False)]
        return text, has_table(nft.netlink, "other"), list(list_elements(nft.netlink, "t", "names"))

    text, other, elements = isolated(body)
    assert "delete from names" in text
    assert not other
    assert [element.rstrip(b"\0") for element in elements] == [b"a"]


def test_the_firewall_mends_itself() -> None:
    """An element that somebody took away, and a table that is gone, do not stop the next change."""

    def body() -> tuple[int, int, int]:
        firewall = Firewall("t")
        firewall.open()
        ports = [PortRule(protocol="tcp", host_address=None, host_port=n, address=ip_address("172.17.0.2"), port=80) for n in (1, 2, 3)]
        bridge = NetworkRules(bridge="br0", subnets=(ip_network("172.17.0.0/16"), ip_network("fd00::/64")))
        firewall.rebuild([bridge], ports[:1])
        nft = NftSocket()
        firewall.remove()
        assert not firewall.is_intact()
        firewall.add_ports(ports[1:])
        restored = len(list_elements(nft.netlink, "t", "ports4"))
        firewall.remove()
        firewall.remove_ports(ports[:2])
        left = len(list_elements(nft.netlink, "t", "ports4"))
        firewall.remove_network("br0")
        return restored, left, count_rules(nft.netlink, "t")

    assert isolated(body) == (3, 1, sum(len(chain.rules) for chain in chains()))


def test_what_a_cut_off_removal_left_in_the_firewall_is_in_nobodys_way() -> None:
    """Elements of a network that is not remembered do not refuse the next one with its subnet; a subnet that is in use does."""

    def body() -> tuple[int, bool]:
        firewall, other = Firewall("t"), Firewall("t")
        firewall.open()
        other.open()
        firewall.rebuild([], [])
        subnet = ip_network("172.30.0.0/16")
        other.add_network(NetworkRules(bridge="br-lost", subnets=(subnet,)))
        firewall.add_network(NetworkRules(bridge="br-new", subnets=(subnet,)))
        names = len(list_elements(NftSocket().netlink, "t", "subnets4"))
        try:
            firewall.add_network(NetworkRules(bridge="br-third", subnets=(subnet,)))
        except OSError as error:
            return names, error.errno == errno.EEXIST
        return names, False

    assert isolated(body) == (1, True)


def test_tracked_flows_are_read_and_forgotten() -> None:
    def body() -> tuple[int, int]:
        firewall = Firewall("t")
        firewall.open()
        firewall.rebuild([], [])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            server.bind(("127.0.0.1", 7000))
            client.sendto(b"x", ("127.0.0.1", 7000))
            with Netlink(NETLINK_NETFILTER) as netlink:
                forgotten = conntrack.flush_flows(netlink, [ip_address("127.0.0.1")], protocol=17)
                return forgotten, len(conntrack.list_flows(netlink))

    assert isolated(body) == (1, 0)
