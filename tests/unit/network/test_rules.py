"""Elements of sets and maps as the kernel compares them."""

import struct
from ipaddress import ip_address, ip_network

import pytest

from corten.kernel.netlink.codec import attributes, walk
from corten.kernel.nftables.batch import Element, add_elements, define_table
from corten.network.rules import SETS, NetworkRules, PortRule, chains, network_elements, port_elements, uplink_elements

LENGTHS = {wanted.name: (wanted.key_length, wanted.data_length) for wanted in SETS}
BRIDGE = NetworkRules(bridge="br0", subnets=(ip_network("172.18.0.0/16"), ip_network("fd00::/64")))


def rule(**over: object) -> PortRule:
    values: dict[str, object] = {
        "protocol": "tcp",
        "host_address": None,
        "host_port": 8080,
        "address": ip_address("172.18.0.2"),
        "port": 80,
    }
    return PortRule(**(values | over))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "elements",
    [
        network_elements(BRIDGE),
        network_elements(NetworkRules(bridge="br0", subnets=BRIDGE.subnets, internal=True, icc=False, open=True)),
        port_elements(rule()),
        port_elements(rule(host_address=ip_address("127.0.0.1"))),
        port_elements(rule(address=ip_address("fd00::2"))),
        port_elements(rule(address=ip_address("fd00::2"), host_address=ip_address("fd01::1"))),
        port_elements(rule(routed=True)),
        port_elements(rule(address=ip_address("fd00::2"), routed=True)),
        uplink_elements(["eth0"]),
    ],
)
def test_every_element_has_its_sets_lengths(elements: dict[str, list[Element]]) -> None:
    assert elements
    for name, members in elements.items():
        for member in members:
            assert (len(member.key), len(member.data or b"")) == LENGTHS[name]


def test_a_port_on_every_address_is_keyed_by_protocol_and_port() -> None:
    found = port_elements(rule())["ports4"][0]
    assert found.key == b"\x06\0\0\0" + struct.pack("!H2x", 8080)
    assert found.data == ip_address("172.18.0.2").packed + struct.pack("!H2x", 80)


def test_an_internal_network_is_not_masqueraded() -> None:
    assert "masq4" in network_elements(BRIDGE)
    internal = network_elements(NetworkRules(bridge="br0", subnets=BRIDGE.subnets, internal=True))
    assert "masq4" not in internal
    assert "internal" in internal


def test_without_icc_the_bridge_does_not_forward_to_itself() -> None:
    assert "same" not in network_elements(NetworkRules(bridge="br0", subnets=(), icc=False))


def test_a_subnet_is_an_interval_that_may_reach_the_end() -> None:
    first, end = network_elements(BRIDGE)["subnets4"]
    assert (first.key, end.key, end.end) == (ip_address("172.18.0.0").packed, ip_address("172.19.0.0").packed, True)
    last = network_elements(NetworkRules(bridge="b", subnets=(ip_network("255.0.0.0/8"),)))["subnets4"]
    assert len(last) == 1


def test_many_elements_go_in_several_messages() -> None:
    messages = add_elements("t", "bridges", [Element(number.to_bytes(16, "big")) for number in range(1200)])
    assert [len(list(walk(attributes(message.payload[4:])[3]))) for message in messages] == [512, 512, 176]


def test_the_table_takes_the_place_of_an_older_one() -> None:
    words = [message.what for message in define_table("corten", SETS, chains())]
    assert words[:3] == ["add table corten", "delete table corten", "add table corten"]
    assert words.count("add rule to forward") == len(next(chain for chain in chains() if chain.name == "forward").rules)
