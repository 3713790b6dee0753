"""`--publish` and `--expose`: ports, ranges and host addresses as the API's ExposedPorts and PortBindings."""

from collections.abc import Iterable
from typing import NamedTuple

from corten.cli.kinds import csv_fields
from corten.quoting import go_quoted

PROTOCOLS = frozenset({"tcp", "udp", "sctp"})

PortSet = dict[str, dict[str, str]]
Bindings = dict[str, list[dict[str, str]]]


class Published(NamedTuple):
    """One container port; `host_port` may be "" (any free one) or a range to choose from."""

    port: str
    host_ip: str
    host_port: str


def published(specs: Iterable[str]) -> tuple[PortSet, Bindings]:
    """All `-p` of a command line."""
    exposed: PortSet = {}
    bindings: Bindings = {}
    for spec in specs:
        for one in parse_publish(spec):
            exposed[one.port] = {}
            bindings.setdefault(one.port, []).append({"HostIp": one.host_ip, "HostPort": one.host_port})
    return exposed, bindings


def exposed(specs: Iterable[str]) -> PortSet:
    """All `--expose` of a command line."""
    found: PortSet = {}
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        ports, _, protocol = spec.partition("/")
        try:
            start, end = _range(ports)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        for port in range(start, end + 1):
            found[f"{port}/{_protocol(protocol)}"] = {}
    return found


def parse_publish(spec: str) -> list[Published]:
    """`[ip:][host[-host]:]port[-port][/proto]`, or `published=…,target=…,protocol=…`."""
    if "=" in spec:
        spec = _short_form(spec)
    raw, _, protocol = spec.partition("/")
    ip, host, container = _parts(raw)
    protocol = _protocol(protocol)
    if not container:
        raise ValueError(f"no port specified: {spec or '<empty>'}")
    try:
        start, end = _range(container)
    except ValueError:
        raise ValueError(f"invalid containerPort: {container}") from None
    if not host:
        return [Published(f"{port}/{protocol}", ip, "") for port in range(start, end + 1)]
    try:
        host_start, host_end = _range(host)
    except ValueError:
        raise ValueError(f"invalid hostPort: {host}") from None
    if host_end - host_start != end - start:
        if end != start:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
        return [Published(f"{start}/{protocol}", ip, f"{host_start}-{host_end}")]
    return [Published(f"{start + i}/{protocol}", ip, str(host_start + i)) for i in range(end - start + 1)]


def _parts(raw: str) -> tuple[str, str, str]:
    """Host address, host port, container port. Brackets around an IPv6 address are taken off and the address is checked."""
    *front, container = raw.split(":")
    if not front:
        return "", "", container
    host = front[-1]
    ip = ":".join(front[:-1])
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
    if ip and not is_ip(ip):
        raise ValueError(f"invalid IP address: {ip}")
    return ip, host, container


def is_ip(text: str) -> bool:
    from socket import AF_INET, AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def _range(text: str) -> tuple[int, int]:
    start, dash, end = text.partition("-")
    low = _port(start)
    high = _port(end) if dash else low
    if high < low:
        raise ValueError(f"invalid range specified for port: {text}")
    return low, high


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise ValueError(f"strconv.ParseUint: parsing {go_quoted(text)}: invalid syntax")
    if int(text) > 65535:
        raise ValueError(f"strconv.ParseUint: parsing {go_quoted(text)}: value out of range")
    return int(text)


def _protocol(text: str) -> str:
    protocol = text.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {text}")
    return protocol


def _short_form(spec: str) -> str:
    """The long form as `published:target/protocol`."""
    values = {"published": "", "target": "", "protocol": "tcp", "mode": "ingress"}
    for field in csv_fields(spec):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid field {field}")
        if key not in values:
            raise ValueError(f"invalid field key {key}")
        values[key] = value
    if not values["target"] or values["target"] == "0":
        raise ValueError('missing mandatory field "target"')
    front = f"{values['published']}:" if values["published"] else ""
    return f"{front}{values['target']}/{values['protocol']}"
