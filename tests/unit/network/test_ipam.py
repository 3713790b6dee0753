"""Addresses: examples, and a model that any sequence of requests is compared with."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from corten.errors import Denied, Invalid
from corten.network.ipam import DEFAULT_POOLS, AddressSpace, IPAddress, Pool, choose_subnet, overlaps, parse_pool, unique_local_pool


def test_dockers_pools_are_the_default() -> None:
    assert [str(pool.base) for pool in DEFAULT_POOLS[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert sum(1 for pool in DEFAULT_POOLS for _ in pool.subnets()) == 31


def test_a_subnet_keeps_off_what_the_host_routes() -> None:
    taken = [ip_network("172.17.0.0/16"), ip_network("172.18.5.0/24"), ip_network("fd00::/8")]
    assert choose_subnet(DEFAULT_POOLS, 4, taken) == ip_network("172.19.0.0/16")


def test_a_wide_route_takes_every_pool_below_it() -> None:
    assert choose_subnet(DEFAULT_POOLS, 4, [ip_network("172.16.0.0/12")]) == ip_network("192.168.0.0/20")
    with pytest.raises(Denied, match="all predefined address pools have been fully subnetted"):
        choose_subnet(DEFAULT_POOLS, 4, [ip_network("172.16.0.0/12"), ip_network("192.168.0.0/16")])


def test_a_pool_must_be_cuttable() -> None:
    assert parse_pool("10.0.0.0/8", 24) == Pool(ip_network("10.0.0.0/8"), 24)
    for base, size in (("10.0.0.0/8", 7), ("10.0.0.0/8", 31), ("10.0.0.1/8", 16), ("nonsense", 16)):
        with pytest.raises(Invalid):
            parse_pool(base, size)


def test_the_hosts_ipv6_pool_is_private_and_its_own() -> None:
    one, other = unique_local_pool(b"12345"), unique_local_pool(b"54321")
    assert one.base != other.base
    assert one.base.network_address in IPv6Network("fd00::/8")
    assert next(one.subnets()).prefixlen == 64


networks = st.builds(
    lambda number, prefix: IPv4Network((number >> (32 - prefix) << (32 - prefix), prefix)), st.integers(0, 2**32 - 1), st.integers(8, 28)
)


@given(st.lists(networks, max_size=12))
def test_a_chosen_subnet_never_overlaps(taken: list[IPv4Network]) -> None:
    try:
        chosen = choose_subnet(DEFAULT_POOLS, 4, taken)
    except Denied:
        assert all(overlaps(subnet, taken) for pool in DEFAULT_POOLS for subnet in pool.subnets())
        return
    assert not overlaps(chosen, taken)


def test_the_lowest_free_address_is_next() -> None:
    space = AddressSpace(ip_network("10.0.0.0/29"), reserved=[ip_address("10.0.0.1")])
    first, second = space.allocate(), space.allocate()
    assert first is not None
    assert (str(first), str(second)) == ("10.0.0.2", "10.0.0.3")
    space.release(first)
    assert space.allocate() == first


def test_a_range_narrows_only_what_is_handed_out_unasked() -> None:
    space = AddressSpace(ip_network("10.0.0.0/16"), ip_range=ip_network("10.0.5.0/30"))
    assert [str(space.allocate()) for _ in range(4)] == ["10.0.5.0", "10.0.5.1", "10.0.5.2", "10.0.5.3"]
    assert space.allocate() is None
    space.claim(ip_address("10.0.9.9"))


@pytest.mark.parametrize("prefix", [31, 32])
def test_the_smallest_subnets_are_used_whole(prefix: int) -> None:
    space = AddressSpace(ip_network(f"10.0.0.0/{prefix}"))
    assert len({space.allocate() for _ in range(2 ** (32 - prefix))}) == 2 ** (32 - prefix)
    assert space.allocate() is None


def test_network_and_broadcast_address_are_nobodys() -> None:
    space = AddressSpace(ip_network("10.0.0.0/30"))
    for edge in ("10.0.0.0", "10.0.0.3"):
        with pytest.raises(Denied, match="Address already in use"):
            space.claim(ip_address(edge))
    with pytest.raises(Invalid):
        space.claim(ip_address("10.0.1.1"))


class Addresses(RuleBasedStateMachine):
    """Against a plain set: no address twice, always the lowest of the range, everything returned can be had again."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.subnet = ip_network("10.0.0.0/28")
        self.range = ip_network("10.0.0.4/30")
        self.space = AddressSpace(self.subnet, ip_range=self.range, reserved=[ip_address("10.0.0.5")])
        self.model: set[IPAddress] = {ip_address("10.0.0.5")}

    @rule(target=held)
    def allocate(self) -> IPAddress | None:
        free = [address for address in self.range if address not in self.model]
        if not free:
            assert self.space.allocate() is None
            return None
        address = self.space.allocate()
        assert address == free[0]
        self.model.add(address)
        return address

    @rule(target=held, offset=st.integers(0, 15))
    def claim(self, offset: int) -> IPAddress | None:
        address = self.subnet.network_address + offset
        if offset in (0, 15) or address in self.model:
            with pytest.raises(Denied):
                self.space.claim(address)
        else:
            self.space.claim(address)
            self.model.add(address)
            return address
        return None

    @rule(address=consumes(held))
    def release(self, address: IPAddress | None) -> None:
        if address is not None:
            self.space.release(address)
            self.space.release(address)
            self.model.discard(address)

    @invariant()
    def count(self) -> None:
        assert self.space.used == len(self.model)


TestAddresses = Addresses.TestCase
TestAddresses.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
