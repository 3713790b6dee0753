"""The networks that are always there, and what the kernel is told of any network. Pure."""

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from ipaddress import ip_interface, ip_network

from corten.engine.networks.values import (
    OPTION_DEFAULT_BRIDGE,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    IpamPool,
    Network,
    NetworkSettings,
)
from corten.errors import Invalid
from corten.ids import new_network_id
from corten.network.bridge import BridgeSpec
from corten.network.fabric import HostFacts
from corten.network.ipam import Pool, choose_subnet, overlaps
from corten.network.rules import Network as Subnet
from corten.network.rules import NetworkRules

_NAME = "corten"
NO_BRIDGE = "none"


def predefined(name: str, driver: str) -> Network:
    """`host` or `none`."""
    return Network(id=new_network_id(), name=name, created=time.time_ns(), driver=driver)


def mtu_of(settings: NetworkSettings, facts: HostFacts) -> int:
    """A bigger uplink does not make containers' packets bigger, as with Docker; a smaller one must make them smaller."""
    return settings.mtu or min(1500, facts.uplink_mtu)


def default_bridge(
    stored: Network | None, settings: NetworkSettings, facts: HostFacts, *, pools: Iterable[Pool], taken: Collection[Subnet], in_use: bool
) -> Network:
    """The network `bridge` as the settings have it today. A subnet chosen earlier stays, unless the host has come to route it elsewhere
    and no container is on it (`in_use`)."""
    mtu = mtu_of(settings, facts)
    base = stored or Network(id=new_network_id(), name="bridge", created=time.time_ns(), driver="bridge")
    options = {
        OPTION_DEFAULT_BRIDGE: "true",
        OPTION_ICC: str(settings.icc).lower(),
        OPTION_MASQUERADE: str(settings.masquerade).lower(),
        OPTION_HOST_BINDING: settings.publish_default or "0.0.0.0",
        "com.docker.network.bridge.name": _bridge_name(base.bridge, settings, facts),
        OPTION_MTU: str(mtu),
    }
    named = _named_pool(settings)
    keep = base.pools[0] if base.pools and (in_use or not overlaps(base.pools[0].network, [*facts.routes, *taken])) else None
    pool = named or keep or _chosen_pool(pools, [*facts.routes, *taken])
    return replace(base, bridge=options["com.docker.network.bridge.name"], options=options, mtu=mtu, pools=(pool,), user_subnet=False)


def _bridge_name(stored: str, settings: NetworkSettings, facts: HostFacts) -> str:
    """corten0, or the next number where another engine on this host has that one."""
    if settings.bridge:
        return settings.bridge
    if stored.startswith(_NAME) and stored not in facts.other_links:
        return stored
    return next(name for number in range(len(facts.other_links) + 1) if (name := f"{_NAME}{number}") not in facts.other_links)


def _chosen_pool(pools: Iterable[Pool], taken: Collection[Subnet]) -> IpamPool:
    pool = IpamPool(subnet=str(choose_subnet(pools, 4, taken)))
    gateway = str(pool.address_space().allocate())
    return replace(pool, gateway=gateway, chosen_gateway=gateway)


def _named_pool(settings: NetworkSettings) -> IpamPool | None:
    """--bip (gateway and subnet), --fixed-cidr (the range containers are given), --default-gateway."""
    if not settings.bip and not settings.fixed_cidr:
        return None
    try:
        gateway = ip_interface(settings.bip) if settings.bip else None
        ip_range = ip_network(settings.fixed_cidr, strict=False) if settings.fixed_cidr else None
    except ValueError as error:
        raise Invalid(f"invalid --bip or --fixed-cidr: {error}", reason="bad-bip") from error
    subnet = gateway.network if gateway else ip_range
    assert subnet is not None
    pool = IpamPool(subnet=str(subnet), ip_range=str(ip_range) if ip_range and ip_range != subnet else "")
    bridge_address = str(gateway.ip) if gateway else str(IpamPool(subnet=str(subnet)).address_space().allocate())
    return replace(pool, gateway=bridge_address, chosen_gateway=bridge_address)


def bridge_spec(network: Network) -> BridgeSpec:
    """An isolated gateway mode leaves the bridge without an address of that family."""
    addresses = [
        ip_interface((pool.chosen_gateway, pool.network.prefixlen))
        for pool in network.pools
        if pool.chosen_gateway and network.gateway_mode(pool.network.version) != "isolated"
    ]
    return BridgeSpec(name=network.bridge, addresses=tuple(addresses), mtu=network.mtu)


def firewall_rules(network: Network) -> NetworkRules:
    modes = [network.gateway_mode(pool.network.version) for pool in network.pools]
    return NetworkRules(
        bridge=network.bridge,
        subnets=tuple(pool.network for pool in network.pools),
        internal=network.internal,
        icc=network.is_on(OPTION_ICC),
        masquerade=network.is_on(OPTION_MASQUERADE) and "routed" not in modes,
        open="nat-unprotected" in modes,
    )
