"""A container's end on a network, on the wire: what create and connect ask for, what inspect shows."""

from msgspec import UNSET, UnsetType, field

from corten.api.wire import Int64, WireStruct
from corten.engine.values.container import Endpoint, EndpointConfig


class EndpointIpamBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: list[str] | None = field(name="LinkLocalIPs", default=None)


class EndpointBody(WireStruct, frozen=True, kw_only=True):
    """EndpointSettings: the first seven fields are asked for, the rest is what came of it."""

    ipam_config: EndpointIpamBody | None = field(name="IPAMConfig", default=None)
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str | None = None
    driver_opts: dict[str, str] | None = None
    gw_priority: Int64 | UnsetType | None = UNSET
    network_id: str | None = None
    endpoint_id: str | None = None
    gateway: str | None = None
    ip_address: str | None = None
    ip_prefix_len: Int64 | None = None
    ipv6_gateway: str | None = None
    global_ipv6_address: str | None = None
    global_ipv6_prefix_len: Int64 | None = None
    dns_names: list[str] | UnsetType | None = field(name="DNSNames", default=UNSET)


def to_endpoint_config(network: str, body: EndpointBody | None) -> EndpointConfig:
    """`network` is a name or an id, as the client gave it."""
    body = body or EndpointBody()
    ipam = body.ipam_config or EndpointIpamBody()
    return EndpointConfig(
        network=network,
        aliases=tuple(body.aliases or ()),
        links=tuple(body.links or ()),
        mac_address=body.mac_address or "",
        ipv4_address=ipam.ipv4_address or "",
        ipv6_address=ipam.ipv6_address or "",
        link_local_ips=tuple(ipam.link_local_ips or ()),
        driver_opts=body.driver_opts or {},
        gw_priority=body.gw_priority or 0,
        said=tuple(name for name in _NULLABLE if getattr(body, name) is not None and not _holds(getattr(body, name))),
    )


_NULLABLE = ("ipam_config", "links", "aliases", "driver_opts")


def _holds(value: object) -> bool:
    return value != EndpointIpamBody() and bool(value)


def from_endpoint(endpoint: Endpoint) -> EndpointBody:
    config = endpoint.config
    ipam = EndpointIpamBody(
        ipv4_address=config.ipv4_address or None,
        ipv6_address=config.ipv6_address or None,
        link_local_ips=list(config.link_local_ips) or None,
    )
    return EndpointBody(
        ipam_config=ipam if _holds(ipam) or "ipam_config" in config.said else None,
        links=list(config.links) if config.links or "links" in config.said else None,
        aliases=list(config.aliases) if config.aliases or "aliases" in config.said else None,
        mac_address=endpoint.mac_address or config.mac_address,
        driver_opts=config.driver_opts if config.driver_opts or "driver_opts" in config.said else None,
        gw_priority=config.gw_priority,
        network_id=endpoint.network_id,
        endpoint_id=endpoint.endpoint_id,
        gateway=endpoint.gateway,
        ip_address=endpoint.ip_address,
        ip_prefix_len=endpoint.ip_prefix_len,
        ipv6_gateway=endpoint.ipv6_gateway,
        global_ipv6_address=endpoint.global_ipv6_address,
        global_ipv6_prefix_len=endpoint.global_ipv6_prefix_len,
        dns_names=list(endpoint.dns_names) or None,
    )
