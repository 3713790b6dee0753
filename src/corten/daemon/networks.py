"""The daemon's networks, put together from its configuration."""

import hashlib

from corten.config import Config
from corten.engine.events import Events
from corten.engine.networks.catalog import NetworkCatalog
from corten.engine.networks.embedded_dns import EmbeddedDns
from corten.engine.networks.network import NetworkSettings
from corten.engine.networks.networks import Networks
from corten.engine.paths import Paths
from corten.network import removal
from corten.network.dns.server import DnsServer
from corten.network.fabric import Fabric, FabricSettings
from corten.store.db import Database

_USUAL_ROOT = "/run/corten"


def settings_of(config: Config) -> NetworkSettings:
    """An engine with another --exec-root than the usual one gets rules and links of its own."""
    instance = "" if config.exec_root == _USUAL_ROOT else hashlib.sha256(config.exec_root.encode()).hexdigest()[:8]
    return NetworkSettings(
        bridge=config.bridge,
        bip=config.bip,
        fixed_cidr=config.fixed_cidr,
        default_gateway=config.default_gateway,
        ipv6=config.ipv6,
        bip6=config.bip6,
        fixed_cidr_v6=config.fixed_cidr_v6,
        default_gateway_v6=config.default_gateway_v6,
        mtu=config.mtu,
        icc=config.icc,
        masquerade=config.ip_masq,
        address_pools=tuple((pool.base, pool.size) for pool in config.address_pools),
        dns=config.dns,
        dns_options=config.dns_options,
        dns_search=config.dns_search,
        publish_default="" if config.publish_ip == "0.0.0.0" else config.publish_ip,
        host_gateways=config.host_gateway_ips,
        firewall=config.iptables,
        forwarding=config.ip_forward,
        instance=instance,
    )


def _name(settings: NetworkSettings) -> str:
    """Of the tables, and in the alias of the links."""
    return f"corten-{settings.instance}" if settings.instance else "corten"


def remove_networks(config: Config) -> list[str]:
    """What a daemon of this --exec-root left on the host; the names of the links that went."""
    name = _name(settings_of(config))
    return removal.remove_networks(name, name)


def make_networks(database: Database, config: Config, events: Events) -> Networks:
    """`await networks.start(live containers)` follows, and `await networks.close()` at the end."""
    settings = settings_of(config)
    name = _name(settings)
    fabric = Fabric(FabricSettings(table=name, owner=name, forwarding=settings.forwarding, firewall=settings.firewall))
    naming = EmbeddedDns(fabric, DnsServer(), settings)
    return Networks(NetworkCatalog(database), fabric, settings, naming, events, Paths(config.data_root, config.exec_root))
