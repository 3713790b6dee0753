"""The networks that are always there, and what the kernel is told of any network. Pure."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from corten.engine.networks.network import (
    OPTION_DEFAULT_BRIDGE,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    IpamPool,
    Network,
    NetworkSettings,
    default_gateway_name,
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
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """What the settings say of one family of the default bridge: its address and subnet (--bip), the range that containers are given
    (--fixed-cidr), and the gateway they are told (--default-gateway)."""

    bridge: str
    fixed: str
    gateway: str


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
    away = [*facts.routes, *taken]
    wanted = {4: BridgeOptions(settings.bip, settings.fixed_cidr, settings.default_gateway)}
    if settings.ipv6:
        wanted[6] = BridgeOptions(settings.bip6, settings.fixed_cidr_v6, settings.default_gateway_v6)
    found = []
    for version, asked in wanted.items():
        kept = next((pool for pool in base.pools if pool.network.version == version), None)
        if kept is not None and not in_use and overlaps(kept.network, away):
            kept = None
        found.append(_with_default_gateway(_named_pool(asked, version) or kept or _chosen_pool(pools, version, away), asked, version))
    name = options["com.docker.network.bridge.name"]
    return replace(base, bridge=name, options=options, mtu=mtu, pools=tuple(found), enable_ipv6=settings.ipv6, user_subnet=False)


def _bridge_name(stored: str, settings: NetworkSettings, facts: HostFacts) -> str:
    """corten0, or the next number where another engine on this host has that one."""
    if settings.bridge:
        return settings.bridge
    if stored.startswith(_NAME) and stored not in facts.other_links:
        return stored
    return next(name for number in range(len(facts.other_links) + 1) if (name := f"{_NAME}{number}") not in facts.other_links)


def _chosen_pool(pools: Iterable[Pool], version: int, taken: Collection[Subnet]) -> IpamPool:
    pool = IpamPool(subnet=str(choose_subnet(pools, version, taken)))
    gateway = str(pool.address_space().allocate())
    return replace(pool, gateway=gateway, chosen_gateway=gateway)


def _named_pool(asked: BridgeOptions, version: int) -> IpamPool | None:
    """None where neither the bridge's address nor a range is given. Raises Invalid."""
    if not asked.bridge and not asked.fixed:
        return None
    gateway = _parsed("bip" if version == 4 else "bip6", asked.bridge, version) if asked.bridge else None
    fixed = _parsed("fixed-cidr" if version == 4 else "fixed-cidr-v6", asked.fixed, version) if asked.fixed else None
    subnet = gateway.network if gateway else fixed.network if fixed else None
    assert subnet is not None
    if fixed is not None and not subnet.supernet_of(fixed.network):  # type: ignore[arg-type] # both of `version`
        raise Invalid(f"--fixed-cidr {asked.fixed} is not in the bridge's subnet {subnet}", reason="bad-fixed-cidr")
    pool = IpamPool(subnet=str(subnet), ip_range=str(fixed.network) if fixed and (version == 6 or fixed.network != subnet) else "")
    bridge_address = str(gateway.ip) if gateway else str(IpamPool(subnet=str(subnet)).address_space().allocate())
    shown = bridge_address if gateway or version == 4 else ""
    return replace(pool, gateway=shown, chosen_gateway=bridge_address)


def _parsed(option: str, text: str, version: int) -> Interface:
    try:
        found = ip_interface(text) if "/" in text else None
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise Invalid(f"parse {option} failed: invalid CIDR address: {text}", reason=f"bad-{option}")
    return found


def _with_default_gateway(pool: IpamPool, asked: BridgeOptions, version: int) -> IpamPool:
    """The bridge keeps its address; containers are sent to another one, which nobody else is given."""
    name = default_gateway_name(version)
    others = {key: address for key, address in pool.aux_addresses.items() if key != name}
    if not asked.gateway:
        return replace(pool, aux_addresses=others)
    try:
        inside = ip_address(asked.gateway) in pool.network
    except ValueError as error:
        raise Invalid(f"invalid default gateway: {asked.gateway}", reason="bad-default-gateway") from error
    if not inside:
        text = f"auxiliary address: ({name}:{asked.gateway}) must belong to the master pool: {pool.subnet}"
        raise Invalid(text, reason="bad-default-gateway")
    return replace(pool, aux_addresses={**others, name: asked.gateway})


def bridge_spec(network: Network) -> BridgeSpec:
    """An isolated gateway mode leaves the bridge without an address of that family."""
    addresses = [
        ip_interface((pool.chosen_gateway, pool.network.prefixlen))
        for pool in network.pools
        if pool.chosen_gateway and network.gateway_mode(pool.network.version) != "isolated"
    ]
    routed = network.is_default_bridge and not network.is_on(OPTION_ICC)
    return BridgeSpec(name=network.bridge, addresses=tuple(addresses), mtu=network.mtu, routes_neighbours=routed)


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
