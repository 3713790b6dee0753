"""Requests for networks: what is refused, what is filled in. Docker's texts were recorded from 28.5.2."""

from ipaddress import ip_network
from typing import Any

import pytest

from corten.engine.filters import has_labels
from corten.engine.networks import checks
from corten.engine.networks.creation import check_request, complete
from corten.engine.networks.endpoint_plans import _sysctls
from corten.engine.networks.filters import select
from corten.engine.networks.network import IpamPool, Network, NetworkRequest
from corten.engine.values.container import EndpointConfig
from corten.errors import Denied, EngineError, Invalid
from corten.network.ipam import DEFAULT_POOLS


def made(request: NetworkRequest, *others: Network) -> Network:
    check_request(request, others)
    return complete(request, pools=DEFAULT_POOLS, taken=[], networks=others, mtu=1500)


FIRST = made(NetworkRequest(name="first"))


def pool(subnet: str = "10.9.0.0/24", **more: Any) -> tuple[IpamPool, ...]:
    return (IpamPool(subnet=subnet, **more),)


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        ({"name": " "}, "invalid", "invalid name: name is empty"),
        ({"name": "host"}, "denied", "operation is not permitted on predefined host network "),
        ({"name": "first"}, "conflict", "network with name first already exists"),
        ({"driver": "nope"}, "not-found", 'plugin "nope" not found'),
        ({"driver": "null"}, "denied", 'only one instance of "null" network is allowed'),
        ({"ipam_driver": "zz"}, "not-found", 'plugin "zz" not found'),
        ({"ingress": True}, "denied", "Ingress network can only be global scope network"),
        ({"scope": "swarm"}, "denied", "cannot create a swarm scoped network when swarm is not active"),
        ({"enable_ipv4": False}, "invalid", "IPv4 or IPv6 must be enabled"),
        ({"pools": pool("bad")}, "invalid", "invalid network config:\ninvalid subnet bad: invalid CIDR block notation"),
        ({"pools": pool("")}, "invalid", "invalid network config:\ninvalid subnet : invalid CIDR block notation"),
        ({"pools": pool("10.9.0.5/24")}, "invalid", "invalid network config:\ninvalid subnet 10.9.0.5/24: it should be 10.9.0.0/24"),
        (
            {"pools": pool(gateway="10.8.0.1")},
            "invalid",
            "invalid network config:\ninvalid gateway 10.8.0.1: parent subnet 10.9.0.0/24 doesn't contain this address",
        ),
        ({"pools": pool(gateway="zz")}, "invalid", "invalid network config:\ninvalid gateway zz: invalid address"),
        (
            {"pools": pool(ip_range="10.8.0.0/25")},
            "invalid",
            "invalid network config:\ninvalid ip-range 10.8.0.0/25: parent subnet 10.9.0.0/24 doesn't contain ip-range",
        ),
        ({"pools": pool() + pool("10.10.0.0/24")}, "denied", "bridge driver doesn't support multiple subnets"),
        ({"pools": pool(FIRST.pools[0].subnet)}, "denied", "invalid pool request: Pool overlaps with other one on this address space"),
        (
            {"options": {"com.docker.network.driver.mtu": "abc"}},
            "invalid",
            'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
        ),
        (
            {"options": {"com.docker.network.bridge.enable_icc": "maybe"}},
            "invalid",
            'failed to parse com.docker.network.bridge.enable_icc value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)',
        ),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "foo"}},
            "invalid",
            "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: foo (unknown gateway mode foo)",
        ),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}},
            "invalid",
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        ({"config_from": "nope"}, "not-found", 'configuration network "nope" does not exist'),
        ({"config_from": "first"}, "not-found", 'configuration network "first" does not exist'),
        ({"driver": "ipvlan", "options": {"parent": "eth0", "ipvlan_mode": "x"}}, "invalid", "requested ipvlan mode 'x' is not valid"),
    ],
)
def test_refusals(request_: dict[str, Any], kind: str, text: str) -> None:
    with pytest.raises(EngineError) as caught:
        made(NetworkRequest(**{"name": "second", **request_}), FIRST)
    assert caught.value.kind == kind
    assert caught.value.message.startswith(text)


def test_two_networks_on_one_bridge_are_refused() -> None:
    options = {"com.docker.network.bridge.name": FIRST.bridge}
    with pytest.raises(Denied, match="networks have same bridge name"):
        made(NetworkRequest(name="second", options=options), FIRST)


def test_a_gateway_the_user_did_not_name_is_not_shown() -> None:
    network = made(NetworkRequest(name="second", pools=pool(aux_addresses={"router": "10.9.0.1"})))
    assert (network.pools[0].gateway, network.pools[0].chosen_gateway) == ("", "10.9.0.2")
    assert network.user_subnet
    assert not FIRST.user_subnet
    assert FIRST.pools[0].gateway == FIRST.pools[0].chosen_gateway == "172.17.0.1"


def test_the_gateway_comes_from_the_range() -> None:
    network = made(NetworkRequest(name="second", pools=pool("10.91.0.0/16", ip_range="10.91.5.0/24")))
    assert network.pools[0].chosen_gateway == "10.91.5.0"


def test_ipv6_only() -> None:
    pools = [*DEFAULT_POOLS, *[type(DEFAULT_POOLS[0])(ip_network("fd00::/48"), 64)]]
    request = NetworkRequest(name="second", enable_ipv4=False, enable_ipv6=True)
    network = complete(request, pools=pools, taken=[], networks=[], mtu=1500)
    assert [entry.subnet for entry in network.pools] == ["fd00::/64"]


def test_config_from_another_network() -> None:
    template = made(NetworkRequest(name="template", config_only=True, pools=pool(), labels={"a": "b"}))
    assert (template.driver, template.bridge) == ("null", "")
    network = made(NetworkRequest(name="second", config_from="template"), template)
    assert (network.driver, network.pools[0].subnet, network.labels) == ("bridge", "10.9.0.0/24", {"a": "b"})


def test_endpoint_settings_are_checked_as_docker_does() -> None:
    network = made(NetworkRequest(name="second", pools=pool()))
    assert checks.endpoint_faults(network, EndpointConfig(network="second", ipv4_address="10.9.0.9", aliases=("x",))) == []
    with pytest.raises(Invalid) as caught:
        checks.check_endpoint(network, EndpointConfig(network="second", ipv4_address="zz"))
    assert caught.value.message == (
        "invalid endpoint settings:\n* invalid IPv4 address: zz\n* no configured subnet or ip-range contain the IP address zz"
    )
    assert len(checks.endpoint_faults(network, EndpointConfig(network="x", ipv6_address="fd00::9"))) == 1
    with pytest.raises(Invalid, match=r"^invalid MAC address zz$"):
        checks.check_endpoint(network, EndpointConfig(network="x", mac_address="zz"))


def test_filters() -> None:
    labelled = made(NetworkRequest(name="second", labels={"a": "1"}))
    networks = [FIRST, labelled]

    def names(**filters: list[str]) -> list[str]:
        return [network.name for network in select(networks, filters, used=lambda network: network is FIRST)]

    assert names() == ["first", "second"]
    assert names(name=["sec"]) == names(name=["^se.*d$"]) == ["second"]
    assert names(id=[FIRST.id[:6]]) == ["first"]
    assert names(label=["a=1"]) == ["second"]
    assert names(dangling=["true"]) == ["second"]
    assert names(dangling=["0"]) == ["first"]
    assert names(type=["builtin"]) == []
    assert names(driver=["bridge"], scope=["local"]) == ["first", "second"]
    assert not has_labels(labelled.labels, ["a=2"])
    for bad in ({"type": ["x"]}, {"dangling": ["maybe"]}):
        with pytest.raises(Invalid):
            select(networks, bad, used=lambda _: False)


def test_an_endpoints_sysctls_are_paths() -> None:
    assert _sysctls("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.forwarding=1", "eth3") == (
        ("net/ipv4/conf/eth3/log_martians", "1"),
        ("net/ipv6/conf/eth3/forwarding", "1"),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("net.ipv4.conf.IFNAME.log_martians=1", ""),
        ("net.ipv6.neigh.ifname.base_reachable_time_ms=1=2", ""),
        ("net.ipv4.conf.eth0.log_martians=1", "unrecognised network interface sysctl 'net.ipv4.conf.eth0.log_martians=1'; represent"),
        ("net.ipv4.ip_forward=0", "unrecognised"),
        ("kernel.core_pattern=x", "unrecognised"),
        ("net.core.conf.IFNAME.x=1", "unrecognised"),
        ("net.ipv4.conf.IFNAME.log_martians", "expected sysctl 'net.ipv4.conf.IFNAME.log_martians' to have format name=value"),
        ("net.ipv4.conf.IFNAME.a.b=1", "expected sysctl 'net.ipv4.conf.IFNAME.a.b=1' to have format net.X.Y.IFNAME.Z"),
        ("net.ipv4.conf.IFNAME.x/../../../../../kernel/core_pattern=|/evil", "expected sysctl"),
        ("net.ipv4.../../kernel.IFNAME.x=1", "unrecognised"),
        ("net.ipv4.a/../b.IFNAME.x=1", "unrecognised"),
    ],
)
def test_settings_of_an_endpoint_s_link(text: str, fault: str) -> None:
    found = checks.sysctl_fault(text)
    assert found.startswith(fault) if fault else found == ""
