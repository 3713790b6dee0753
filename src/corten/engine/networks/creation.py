"""A request for a network, checked and completed: driver, options, subnets and gateways. Pure; Docker's error texts."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError, ip_address, ip_network

from corten.engine.networks.network import (
    GATEWAY_MODES,
    OPTION_BRIDGE_NAME,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MODE4,
    OPTION_MODE6,
    OPTION_MTU,
    PREDEFINED,
    IpamPool,
    Network,
    NetworkRequest,
)
from corten.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from corten.ids import NetworkId, new_network_id
from corten.kernel.netlink.links import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES
from corten.network.ipam import IPAddress, Pool, choose_subnet, overlaps
from corten.units import parse_bool

Subnet = IPv4Network | IPv6Network
DRIVERS = ("bridge", "macvlan", "ipvlan")
_LONGEST_LINK_NAME = 15
_DEFAULT_MODES = {"macvlan": "bridge", "ipvlan": "l2"}


def check_request(request: NetworkRequest, existing: Iterable[Network]) -> None:
    """Raise what Docker answers to a request that cannot be."""
    if not request.name.strip():
        raise Invalid("invalid name: name is empty", reason="bad-network-name")
    if request.name in (*PREDEFINED, "default"):
        raise Denied(f"operation is not permitted on predefined {request.name} network ", reason="predefined-network")
    if request.ingress:
        raise Denied("Ingress network can only be global scope network", reason="no-swarm")
    if request.scope not in ("", "local"):
        raise Denied(f"cannot create a {request.scope} scoped network when swarm is not active", reason="no-swarm")
    if any(network.name == request.name for network in existing):
        raise Conflict(f"network with name {request.name} already exists", reason="network-exists")
    _check_driver(request)
    if request.enable_ipv4 is False and not request.enable_ipv6:
        raise Invalid("IPv4 or IPv6 must be enabled", reason="no-address-family")
    _check_pools(request.pools)
    _check_options(request)


def _check_driver(request: NetworkRequest) -> None:
    if request.ipam_driver not in ("", "default", "null"):
        raise NotFound(f'plugin "{request.ipam_driver}" not found', reason="no-such-plugin")
    if request.config_only and request.config_from:
        raise Denied("a configuration network cannot depend on another configuration network", reason="config-from-config")
    if request.config_only:
        return
    if request.ipam_driver == "null" and request.driver in ("", *DRIVERS):
        raise Invalid("ipv4 pool is empty", reason="no-addresses", hint="the IPAM driver null gives no addresses: use default")
    if request.driver in ("host", "null"):
        raise Denied(f'only one instance of "{request.driver}" network is allowed', reason="single-network")
    if request.driver == "overlay":
        raise Denied(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
            reason="no-swarm",
            hint="Corten has no swarm mode; for one host use the bridge driver",
        )
    if request.driver not in ("", *DRIVERS):
        raise NotFound(f'plugin "{request.driver}" not found', reason="no-such-plugin", hint=f"built in: {', '.join(DRIVERS)}")


def _subnet(text: str) -> Subnet:
    try:
        found = ip_network(text, strict=False)
    except (ValueError, AddressValueError, NetmaskValueError) as error:
        raise Invalid(f"invalid network config:\ninvalid subnet {text}: invalid CIDR block notation", reason="bad-subnet") from error
    if "/" not in text:
        raise Invalid(f"invalid network config:\ninvalid subnet {text}: invalid CIDR block notation", reason="bad-subnet")
    if ip_address(text.partition("/")[0]) != found.network_address:
        raise Invalid(f"invalid network config:\ninvalid subnet {text}: it should be {found}", reason="bad-subnet")
    return found


def _inside(kind: str, text: str, subnet: Subnet) -> IPAddress:
    try:
        address = ip_address(text)
    except ValueError as error:
        raise Invalid(f"invalid network config:\ninvalid {kind} {text}: invalid address", reason="bad-address") from error
    if address not in subnet:
        raise Invalid(
            f"invalid network config:\ninvalid {kind} {text}: parent subnet {subnet} doesn't contain this address", reason="bad-address"
        )
    return address


def _check_pools(pools: Iterable[IpamPool]) -> None:
    for pool in pools:
        subnet = _subnet(pool.subnet)
        if pool.ip_range:
            _check_range(pool.ip_range, subnet)
        if pool.gateway:
            _inside("gateway", pool.gateway, subnet)
        for address in pool.aux_addresses.values():
            _inside("auxiliary address", address, subnet)


def _check_range(text: str, subnet: Subnet) -> None:
    try:
        inner = ip_network(text, strict=False)
    except ValueError as error:
        raise Invalid(f"invalid network config:\ninvalid ip-range {text}: invalid CIDR block notation", reason="bad-ip-range") from error
    if inner.version == subnet.version and inner.prefixlen < subnet.prefixlen:
        raise Invalid(
            f"invalid network config:\ninvalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}", reason="bad-ip-range"
        )
    if inner.version != subnet.version or inner.network_address not in subnet:
        raise Invalid(
            f"invalid network config:\ninvalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range", reason="bad-ip-range"
        )


def _refused(option: str, value: str, why: str) -> Invalid:
    return Invalid(f"failed to parse {option} value: {value} ({why})", reason="bad-network-option")


def _check_mtu(option: str, value: str) -> None:
    if value.removeprefix("-").isdecimal() and value.startswith("-"):
        raise Invalid(f"invalid MTU number: {value}", reason="bad-network-option")
    if not value.isdecimal():
        raise _refused(option, value, f'strconv.Atoi: parsing "{value}": invalid syntax')


def _check_bool(option: str, value: str) -> None:
    try:
        parse_bool(value or "true")
    except ValueError as error:
        raise _refused(option, value, str(error)) from error


def _check_ip(option: str, value: str) -> None:
    try:
        ip_address(value)
    except ValueError as error:
        raise _refused(option, value, "nil ip") from error


def _check_mode(option: str, value: str) -> None:
    if value not in ("", *GATEWAY_MODES):
        raise _refused(option, value, f"unknown gateway mode {value}")


_BRIDGE_CHECKS: dict[str, Callable[[str, str], None]] = {
    OPTION_MTU: _check_mtu,
    OPTION_ICC: _check_bool,
    OPTION_MASQUERADE: _check_bool,
    OPTION_HOST_BINDING: _check_ip,
    OPTION_MODE4: _check_mode,
    OPTION_MODE6: _check_mode,
}


def _check_options(request: NetworkRequest) -> None:
    options = request.options
    if request.driver in ("macvlan", "ipvlan"):
        _check_child_options(request.driver, options)
        return
    for option, check in _BRIDGE_CHECKS.items():
        if option in options:
            check(option, options[option])
    if len(options.get(OPTION_BRIDGE_NAME, "")) > _LONGEST_LINK_NAME:
        raise Invalid("numerical result out of range", reason="bad-network-option", hint="a bridge name has at most 15 characters")
    if "isolated" in (options.get(OPTION_MODE4), options.get(OPTION_MODE6)) and not request.internal:
        raise Invalid("gateway mode 'isolated' can only be used for an internal network", reason="bad-network-option")


def _check_child_options(driver: str, options: dict[str, str]) -> None:
    modes = MACVLAN_MODES if driver == "macvlan" else IPVLAN_MODES
    mode = options.get(f"{driver}_mode", "")
    if mode and mode not in modes:
        raise Invalid(
            f"requested {driver} mode '{mode}' is not valid, '{_DEFAULT_MODES[driver]}' mode is the {driver} driver default",
            reason="bad-network-option",
        )
    if options.get("ipvlan_flag", "bridge") not in IPVLAN_FLAGS:
        raise Invalid(
            f"requested ipvlan flag '{options['ipvlan_flag']}' is not valid, 'bridge' is the ipvlan driver default",
            reason="bad-network-option",
        )


def complete(
    request: NetworkRequest, *, pools: Iterable[Pool], taken: Collection[Subnet], networks: Collection[Network], mtu: int
) -> Network:
    """The network that the request asks for: subnets chosen where none is named, gateways too, and its bridge's name.

    `taken`: what the host routes elsewhere; it keeps a chosen subnet away, a subnet that the user names need only differ from other
    `networks`. Raises Denied for an overlap.
    """
    request = _with_config_from(request, networks)
    driver = request.driver or "bridge"
    network_id = new_network_id()
    ours = [pool.network for network in networks if not network.config_only for pool in network.pools]
    network = Network(
        id=network_id,
        name=request.name,
        created=time.time_ns(),
        driver="null" if request.config_only else driver,
        enable_ipv4=request.enable_ipv4 is not False,
        enable_ipv6=bool(request.enable_ipv6),
        internal=request.internal,
        attachable=request.attachable,
        options=dict(request.options),
        labels=dict(request.labels),
        ipam_driver=request.ipam_driver or "default",
        ipam_options=request.ipam_options,
        user_subnet=bool(request.pools),
        config_only=request.config_only,
        config_from=request.config_from,
        bridge=_bridge_name(request, network_id),
        mtu=int(request.options.get(OPTION_MTU, "0") or 0) or mtu,
    )
    if network.config_only:
        return replace(network, pools=request.pools)
    _check_bridge_name(network, networks)
    return replace(network, pools=_complete_pools(request, network, list(pools), [*taken], ours))


def _bridge_name(request: NetworkRequest, network_id: NetworkId) -> str:
    if request.config_only or request.driver not in ("", "bridge"):
        return ""
    return request.options.get(OPTION_BRIDGE_NAME) or f"br-{network_id[:12]}"


def _with_config_from(request: NetworkRequest, networks: Iterable[Network]) -> NetworkRequest:
    if not request.config_from:
        return request
    for source in networks:
        if source.config_only and request.config_from in (source.name, source.id):
            if request.pools or request.options or request.labels:
                raise Denied(
                    "user specified configurations are not supported if the network depends on a configuration network",
                    reason="config-from-and-own",
                )
            return replace(
                request,
                pools=source.pools,
                options=source.options,
                labels=source.labels,
                enable_ipv6=source.enable_ipv6,
                internal=source.internal,
            )
    raise NotFound(f'configuration network "{request.config_from}" does not exist', reason="no-such-network")


def _check_bridge_name(network: Network, networks: Iterable[Network]) -> None:
    for other in networks:
        if network.bridge and other.bridge == network.bridge:
            raise Denied(
                f"cannot create network {network.id} ({network.bridge}): conflicts with network {other.id} ({other.bridge}):"
                " networks have same bridge name",
                reason="bridge-name-taken",
            )


def _complete_pools(
    request: NetworkRequest, network: Network, pools: list[Pool], taken: list[Subnet], ours: list[Subnet]
) -> tuple[IpamPool, ...]:
    found = [pool for pool in request.pools if pool.network.version == 4 or network.enable_ipv6]
    for version, wanted in ((4, network.enable_ipv4), (6, network.enable_ipv6)):
        present = [pool.network for pool in found if pool.network.version == version]
        if network.driver == "bridge" and len(present) > 1:
            raise Denied(
                "bridge driver doesn't support multiple subnets", reason="many-subnets", hint="one IPv4 and one IPv6 subnet at most"
            )
        if wanted and not present:
            subnet = choose_subnet(pools, version, [*taken, *ours])
            found.append(IpamPool(subnet=str(subnet)))
    for pool in found:
        if overlaps(pool.network, ours):
            raise Denied("invalid pool request: Pool overlaps with other one on this address space", reason="subnet-taken")
    return tuple(_with_gateway(pool, chosen=pool in request.pools) for pool in found)


def _with_gateway(pool: IpamPool, *, chosen: bool) -> IpamPool:
    """A subnet that the user named keeps its gateway unsaid in inspect, as Docker has it."""
    free = pool.address_space().allocate()
    if not pool.gateway and free is None:
        raise Unavailable(f"no available addresses in {pool.subnet} for a gateway", reason="no-address")
    gateway = pool.gateway or str(free)
    for name, address in pool.aux_addresses.items():
        if ip_address(address) == ip_address(gateway):
            raise Denied(f"failed to allocate secondary ip address ({name}:{address}): Address already in use", reason="address-in-use")
    return replace(pool, chosen_gateway=gateway, gateway=pool.gateway if chosen else gateway)
