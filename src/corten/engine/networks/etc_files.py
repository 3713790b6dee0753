"""The texts of a container's hosts and resolv.conf from its settings, the daemon's and the host's."""

from collections.abc import Iterable

from corten.engine.networks.endpoint_plans import EndpointPlan
from corten.engine.networks.network import NetworkSettings
from corten.engine.values.container import Container
from corten.network import hostfiles

_HOSTS = "/etc/hosts"


def resolver_of(container: Container, settings: NetworkSettings) -> hostfiles.Resolver:
    """The host's resolver with the daemon's and the container's wishes in its place."""
    host = hostfiles.read_host_resolver()
    host = hostfiles.override(host, servers=settings.dns, search=settings.dns_search, options=settings.dns_options)
    wishes = container.host
    return hostfiles.override(host, servers=wishes.dns, search=wishes.dns_search, options=wishes.dns_options)


def resolv_conf(container: Container, settings: NetworkSettings, *, embedded: bool) -> str:
    """`embedded`: our own server on 127.0.0.11 answers, and forwards to the resolver's servers.

    Local servers of the host are of no use in a container; one that a user gave is what he wants.
    """
    resolver = resolver_of(container, settings)
    if container.host.network_mode == "host":
        return hostfiles.format_resolv_conf(resolver)
    if embedded:
        return hostfiles.format_resolv_conf(hostfiles.behind_embedded_server(resolver))
    if container.host.dns or settings.dns:
        return hostfiles.format_resolv_conf(resolver)
    return hostfiles.format_resolv_conf(hostfiles.without_local_servers(resolver))


def hosts(container: Container, plans: Iterable[EndpointPlan], *, gateways: tuple[str, ...], links: list[tuple[str, str]]) -> str:
    """`links`: lines of --link on the default bridge. `gateways`: what host-gateway stands for."""
    extra = hostfiles.resolve_extra_hosts(container.host.extra_hosts, gateways)
    if container.host.network_mode == "host":
        return hostfiles.append_hosts(_host_file(), extra)
    config = container.config
    addresses = [str(interface.ip) for plan in plans for interface in plan.interfaces]
    return hostfiles.format_hosts([*extra, *links, *hostfiles.own_lines(addresses, config.hostname, config.domainname)])


def _host_file() -> str:
    try:
        with open(_HOSTS, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return hostfiles.format_hosts(())
