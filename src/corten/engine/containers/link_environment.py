"""The variables that a linked container puts into the other's environment: DB_NAME, DB_PORT_…, DB_ENV_…. Pure."""

from collections.abc import Callable, Iterable

from corten.engine.values.container import Container
from corten.engine.values.links import links_of

_IGNORED = frozenset(("HOME", "PATH"))


def link_environment(container: Container, find: Callable[[str], Container | None]) -> list[str]:
    """Of all its links, in the order given; a linked container without an address on the default bridge adds nothing."""
    found: list[str] = []
    for link in links_of(container.host):
        target = find(link.target)
        endpoint = target.endpoints.get("bridge") if target else None
        if target is not None and endpoint is not None and endpoint.ip_address:
            prefix = link.alias.upper().replace("-", "_")
            found += _ports(prefix, endpoint.ip_address, target.config.exposed_ports)
            found.append(f"{prefix}_NAME=/{container.name}/{link.alias}")
            found += _variables(prefix, target.config.env)
    return found


def _variables(prefix: str, env: Iterable[str]) -> list[str]:
    found = []
    for entry in env:
        name, equals, _ = entry.partition("=")
        if equals and name not in _IGNORED:
            found.append(f"{prefix}_ENV_{entry}")
    return found


def _ports(prefix: str, address: str, exposed: Iterable[str]) -> list[str]:
    """Four variables for each port, tcp first, and after each run of successive ports four for the run."""
    ports = sorted(_numbers(exposed), key=lambda port: (port[1] != "tcp", port[0]))
    if not ports:
        return []
    number, protocol = first = last = ports[0]
    found = [f"{prefix}_PORT={protocol}://{address}:{number}"]
    for index, (number, protocol) in enumerate(ports):
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        values = (f"{protocol}://{address}:{number}", address, number, protocol)
        found += [f"{name}{end}={value}" for end, value in zip(("", "_ADDR", "_PORT", "_PROTO"), values, strict=True)]
        if (number, protocol) == (last[0] + 1, last[1]):
            last = number, protocol
            if index < len(ports) - 1:
                continue
        if last != first:
            found += _run(prefix, address, first, last)
        first = last = number, protocol
    return found


def _run(prefix: str, address: str, first: tuple[int, str], last: tuple[int, str]) -> list[str]:
    protocol = first[1]
    name = f"{prefix}_PORT_{first[0]}_{protocol.upper()}"
    return [
        f"{name}_START={protocol}://{address}:{first[0]}",
        f"{name}_PORT_START={first[0]}",
        f"{name}_END={protocol}://{address}:{last[0]}",
        f"{name}_PORT_END={last[0]}",
    ]


def _numbers(exposed: Iterable[str]) -> list[tuple[int, str]]:
    """Ports as (number, protocol), ranges taken apart."""
    found = []
    for text in exposed:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        found += [(number, protocol or "tcp") for number in range(int(first), int(last or first) + 1)]
    return found
