import errno
import struct
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.kernel.netlink import addresses, conntrack, links, routes
from corten.kernel.netlink.codec import (
    HEADER,
    Message,
    Reply,
    attribute,
    attributes,
    nested,
    pack_message,
    split_messages,
    text,
    u32,
    unpack_text,
    walk,
)
from corten.kernel.netlink.socket import NetlinkError, error_of, raise_for


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_survive_packing(pairs: list[tuple[int, bytes]]) -> None:
    packed = b"".join(attribute(kind, value) for kind, value in pairs)
    assert len(packed) % 4 == 0
    assert list(walk(packed)) == pairs


@given(st.binary(max_size=64))
def test_walk_stands_anything(data: bytes) -> None:
    assert sum(len(value) + 4 for _, value in walk(data)) <= len(data)


def test_messages_of_one_datagram_come_apart_again() -> None:
    messages = [Message(16, 0, b"abc"), Message(20, 5, b""), Message(24, 0, b"x" * 9)]
    packed = b"".join(pack_message(message, number) for number, message in enumerate(messages))
    found = list(split_messages(packed))
    assert [(reply.type, reply.sequence, reply.payload) for reply in found] == [(16, 0, b"abc"), (20, 1, b""), (24, 2, b"x" * 9)]


def test_a_cut_datagram_gives_its_whole_messages_only() -> None:
    packed = pack_message(Message(16, 0, b"abcd"), 1) + pack_message(Message(16, 0, b"efgh"), 2)
    assert len(list(split_messages(packed[:-3]))) == 1


def refusal(code: int, words: str, *, capped: bool) -> Reply:
    echoed = HEADER.pack(20, 16, 0, 1, 0) + (b"" if capped else b"\0" * 4)
    payload = struct.pack("=i", -code) + echoed + text(1, words)
    return Reply(2, 0x200 | (0x100 if capped else 0), 1, payload)


@pytest.mark.parametrize("capped", [True, False])
def test_the_kernels_own_words_are_found(capped: bool) -> None:
    assert error_of(refusal(errno.EINVAL, "Device does not allow enslaving", capped=capped)) == (
        errno.EINVAL,
        "Device does not allow enslaving",
    )


def test_an_error_says_what_was_asked() -> None:
    with pytest.raises(NetlinkError) as caught:
        raise_for(errno.EEXIST, "name taken", Message(16, 0, b"", "create bridge br0"))
    assert caught.value.errno == errno.EEXIST
    assert str(caught.value) == "[Errno 17] create bridge br0: File exists (name taken)"


def test_a_tolerated_error_is_none() -> None:
    raise_for(errno.ENODEV, "", links.delete_link("gone"))
    with pytest.raises(NetlinkError):
        raise_for(errno.EPERM, "", links.delete_link("gone"))


def test_a_link_is_read_from_its_message() -> None:
    info = nested(18, text(1, "veth"))
    payload = struct.pack("=BxHiII", 0, 1, 7, links.IFF_UP, 0)
    payload += text(3, "veth0") + u32(4, 1400) + attribute(1, bytes.fromhex("0242ac110002")) + u32(10, 3) + u32(5, 2) + info
    link = links.parse_link(Reply(16, 0, 1, payload))
    assert link == links.Link(7, "veth0", 1, 1400, "02:42:ac:11:00:02", master=3, parent=2, kind="veth")
    assert link.is_up


def test_set_link_asks_only_for_what_is_given() -> None:
    message = links.set_link(4, mtu=1400)
    _family, _type, index, flags, change = struct.unpack_from("=BxHiII", message.payload)
    assert (index, flags, change) == (4, 0, 0)
    assert list(attributes(message.payload[16:])) == [4]
    assert message.what == "set link 4 mtu=1400"


def test_taking_a_port_from_its_bridge_and_down_is_said() -> None:
    message = links.set_link("veth0", up=False, master=0)
    _family, _type, _index, flags, change = struct.unpack_from("=BxHiII", message.payload)
    assert (flags, change) == (0, links.IFF_UP)
    assert attributes(message.payload[16:])[10] == b"\0\0\0\0"


def test_a_pair_goes_into_a_namespace_with_its_address() -> None:
    inside = links.Inside(name="eth0", netns_fd=9, mac="02:42:ac:11:00:02", mtu=1400, index=2)
    message = links.new_veth("veth0", inside, master=5)
    found = attributes(message.payload[16:])
    assert unpack_text(found[3]) == "veth0"
    assert found[10] == struct.pack("=I", 5)
    peer = attributes(attributes(found[18])[2])[1]
    assert struct.unpack_from("=BxHiII", peer)[2] == 2
    inner = attributes(peer[16:])
    assert (unpack_text(inner[3]), inner[28], inner[1]) == ("eth0", struct.pack("=I", 9), bytes.fromhex("0242ac110002"))


def test_an_address_has_its_broadcast_and_ipv6_no_probation() -> None:
    v4 = addresses.add_address(2, ip_interface("172.17.0.2/16"))
    assert attributes(v4.payload[8:])[4] == ip_address("172.17.255.255").packed
    v6 = addresses.add_address(2, ip_interface("fd00::2/64"))
    assert attributes(v6.payload[8:])[8] == struct.pack("=I", 2)


@pytest.mark.parametrize("value", ["10.1.2.3/24", "fd00::5/64", "10.0.0.1/32"])
def test_an_address_is_read_as_it_was_written(value: str) -> None:
    payload = addresses.add_address(3, ip_interface(value)).payload
    assert addresses.parse_address(Reply(20, 0, 1, payload)) == addresses.Address(3, ip_interface(value))


@pytest.mark.parametrize(
    "route",
    [
        routes.Route(ip_network("0.0.0.0/0"), 2, ip_address("172.17.0.1")),
        routes.Route(ip_network("10.0.0.0/8"), 3),
        routes.Route(ip_network("::/0"), 2, ip_address("fd00::1"), 1024),
    ],
)
def test_a_route_is_read_as_it_was_written(route: routes.Route) -> None:
    assert routes.parse_route(Reply(24, 0, 1, routes.add_route(route).payload)) == route


def test_a_mac_address_follows_from_the_ip_address() -> None:
    address = ip_address("172.17.0.2")
    assert address.version == 4
    assert links.mac_of(address) == "02:42:ac:11:00:02"


def flow(source: str, destination: str, answered_by: str, protocol: int) -> Reply:
    def tuple_of(first: str, second: str) -> bytes:
        ips = nested(1, attribute(1, ip_address(first).packed), attribute(2, ip_address(second).packed))
        return ips + nested(2, attribute(1, bytes([protocol])))

    payload = struct.pack("!BBH", 2, 0, 0) + nested(1, tuple_of(source, destination)) + nested(2, tuple_of(answered_by, source))
    return Reply(256, 0, 1, payload)


def test_a_tracked_flow_names_who_answers() -> None:
    found = conntrack.parse_flow(flow("10.0.0.9", "192.0.2.1", "172.17.0.2", 17))
    assert (str(found.source), str(found.destination), str(found.answered_by)) == ("10.0.0.9", "192.0.2.1", "172.17.0.2")
    assert found.protocol == 17
    assert attributes(found.key)[1] == attributes(flow("10.0.0.9", "192.0.2.1", "172.17.0.2", 17).payload[4:])[1]
