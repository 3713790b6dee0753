"""A container's published ports: from `-p` and `-P` to held host ports, firewall rules, proxies and what inspect shows."""

from collections.abc import Iterable
from ipaddress import ip_address

from corten.engine.networks.endpoint_plans import EndpointPlan
from corten.engine.networks.network import OPTION_HOST_BINDING, NetworkSettings
from corten.engine.values.container import Container, PortBinding
from corten.network.ports import ANY4, ANY6, HeldPort, IPAddress, Published, PublishRequest, parse_host_ip, parse_port, parse_port_range
from corten.network.rules import PortRule

_LOOPBACK6 = ip_address("::1")


def exposed_ports(container: Container) -> tuple[str, ...]:
    """Every "80/tcp" that the image, `--expose` or `-p` names, in order of number and protocol."""
    found = {text for spec in container.config.exposed_ports for text in _expand(spec)} | set(container.host.port_bindings)
    return tuple(sorted({f"{number}/{protocol}" for number, protocol in map(parse_port, found)}, key=_port_order))


def _expand(spec: str) -> Iterable[str]:
    numbers, _, protocol = spec.partition("/")
    first, last = parse_port_range(numbers)
    return [f"{number}/{protocol or 'tcp'}" for number in range(first, last + 1)]


def _port_order(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number), protocol


def publish_requests(container: Container) -> list[PublishRequest]:
    """One for each binding; `-P` adds an ephemeral one for each exposed port that has none."""
    found: list[PublishRequest] = []
    asked: dict[tuple[int, str], tuple[PortBinding, ...]] = {}
    for text, bindings in container.host.port_bindings.items():
        port = parse_port(text)
        asked[port] = (*asked.get(port, ()), *bindings)
    for text in exposed_ports(container):
        number, protocol = parse_port(text)
        bindings = asked.get((number, protocol), ())
        if not bindings and container.host.publish_all_ports:
            bindings = (PortBinding(),)
        for binding in bindings:
            first, last = parse_port_range(binding.host_port)
            host_ip = parse_host_ip(binding.host_ip)
            found.append(PublishRequest(protocol=protocol, container_port=number, host_ip=host_ip, first=first, last=last))
    return sorted(found, key=lambda request: request.first == 0)


def host_addresses(request: PublishRequest, plan: EndpointPlan, settings: NetworkSettings, *, host_has_ipv6: bool) -> list[IPAddress]:
    """The host addresses that one binding means on this endpoint. `-p 80:80` means every address of both families; an IPv6-only
    container has no use for an IPv4 one."""
    has4 = plan.interface(4) is not None
    if request.host_ip is not None and request.host_ip != ANY4:
        return [request.host_ip] if has4 or request.host_ip.version == 6 else []
    default = plan.network.options.get(OPTION_HOST_BINDING) or settings.publish_default
    if request.host_ip is None and default and ip_address(default) != ANY4:
        return [ip_address(default)]
    addresses: list[IPAddress] = [ANY4] if has4 else []
    if request.host_ip is None and host_has_ipv6:
        addresses.append(ANY6)
    return addresses


def target_of(request: PublishRequest, plan: EndpointPlan) -> str:
    interface = plan.interface(4) or plan.interface(6)
    assert interface is not None
    return f"{interface.ip}:{request.container_port}" if interface.version == 4 else f"[{interface.ip}]:{request.container_port}"


def port_rules(published: Iterable[Published], plan: EndpointPlan) -> list[PortRule]:
    """What the kernel translates. An IPv6 address for a container without IPv6 is a proxy's, and so is ::1."""
    rules = []
    for port in published:
        interface = plan.interface(port.host_ip.version)
        if interface is None or port.host_ip == _LOOPBACK6:
            continue
        rules.append(
            PortRule(
                protocol=port.protocol,
                host_address=None if port.host_ip in (ANY4, ANY6) else port.host_ip,
                host_port=port.host_port,
                address=interface.ip,
                port=port.container_port,
                routed=plan.network.gateway_mode(port.host_ip.version) == "routed",
            )
        )
    return rules


def link_rules(own: EndpointPlan, linked: Iterable[tuple[Container, EndpointPlan]]) -> list[PortRule]:
    """Where neighbours may not reach each other, a container reaches the exposed ports of those it is linked to."""
    found: dict[PortRule, None] = {}
    source = own.interface(4)
    for container, plan in linked:
        target = plan.interface(4)
        if source is None or target is None:
            continue
        for number, protocol in map(parse_port, exposed_ports(container)):
            rule = PortRule(protocol=protocol, host_address=None, host_port=0, address=target.ip, port=number, source=source.ip)
            found[rule] = None
    return list(found)


def proxied(held: HeldPort, plan: EndpointPlan) -> bool:
    """Whether a proxy must listen for this port: all that comes in by ::1, and IPv6 for a container without it."""
    host_ip = held.published.host_ip
    if host_ip.version == 4 or held.published.protocol == "sctp":
        return False
    return plan.interface(6) is None or host_ip in (ANY6, _LOOPBACK6)


def proxy_target(held: HeldPort, plan: EndpointPlan) -> tuple[str, int]:
    interface = plan.interface(6) or plan.interface(4)
    assert interface is not None
    return str(interface.ip), held.published.container_port


def shown_ports(container: Container, published: Iterable[Published]) -> dict[str, tuple[PortBinding, ...]]:
    """NetworkSettings.Ports: every exposed port, () where it is not published."""
    shown: dict[str, tuple[PortBinding, ...]] = dict.fromkeys(exposed_ports(container), ())
    for port in published:
        text = f"{port.container_port}/{port.protocol}"
        shown[text] = (*shown.get(text, ()), PortBinding(host_ip=str(port.host_ip), host_port=str(port.host_port)))
    return shown


def published_by(container: Container) -> list[Published]:
    """What a live container has bound, from what was stored of it."""
    found = []
    for text, bindings in container.ports.items():
        number, protocol = parse_port(text)
        for binding in bindings:
            host_ip = ip_address(binding.host_ip)
            found.append(Published(protocol=protocol, container_port=number, host_ip=host_ip, host_port=int(binding.host_port)))
    return found
