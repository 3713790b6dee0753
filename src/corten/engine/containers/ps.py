"""`docker ps`: which containers a list shows, in which order, and the status as a sentence."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from corten.engine.filters import has_labels
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import is_up
from corten.engine.values.container import Container, HealthStatus, PortBinding
from corten.errors import Invalid
from corten.ids import ImageId
from corten.units import human_duration

Filters = Mapping[str, Collection[str]]
Predicate = Callable[[Container], bool]
ImageFamily = Callable[[str], Collection[ImageId]]
"""The image a reference means and every image made from it; nothing when there is none."""

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTHS = ("none", "starting", "healthy", "unhealthy")
ACCEPTED = frozenset(
    (
        "ancestor",
        "before",
        "expose",
        "exited",
        "health",
        "id",
        "isolation",
        "is-task",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    )
)


@dataclass(frozen=True, slots=True)
class ContainerListQuery:
    """`limit` > 0 lists the newest ones, whatever their state; a `status` filter implies `all` too."""

    all: bool = False
    limit: int = 0
    filters: Filters = field(default_factory=dict)


def select(catalog: ContainerCatalog, query: ContainerListQuery, image_family: ImageFamily) -> list[Container]:
    """Newest first. Raises Invalid for a filter that Docker refuses, NotFound for an unknown `before` or `since`."""
    predicates = _predicates(catalog, query.filters, image_family)
    if not (query.all or query.limit > 0 or query.filters.get("status")):
        predicates.insert(0, lambda c: is_up(c.state))
    newest_first = sorted((entry.value for entry in catalog), key=lambda c: c.created, reverse=True)
    chosen = [c for c in newest_first if all(p(c) for p in predicates)]
    return chosen[: query.limit] if query.limit > 0 else chosen


def check_filters(filters: Filters, accepted: Collection[str]) -> None:
    """Refuse what this list does not know, by Docker's text."""
    for name in filters:
        if name not in accepted:
            raise Invalid(f"invalid filter '{name}'", reason="bad-filter")


def _predicates(catalog: ContainerCatalog, filters: Filters, image_family: ImageFamily) -> list[Predicate]:
    check_filters(filters, ACCEPTED)
    _check_values(filters)
    makers: dict[str, Callable[[Collection[str]], Predicate]] = {
        "before": lambda values: _created(catalog, values, before=True),
        "since": lambda values: _created(catalog, values, before=False),
        "ancestor": lambda values: _ancestor(values, image_family),
        "id": lambda values: lambda c: _matches_any(c.id, values),
        "name": lambda values: lambda c: _matches_any("/" + c.name, values) or _matches_any(c.name, values),
        "label": lambda values: lambda c: has_labels(c.config.labels, values),
        "exited": lambda values: lambda c: not is_up(c.state) and c.state.started_at != 0 and str(c.state.exit_code) in values,
        "status": lambda values: lambda c: c.state.status in values,
        "health": lambda values: lambda c: ("none" if c.state.health is None else c.state.health.status) in values,
        "volume": lambda values: lambda c: any(m.name in values or m.destination in values for m in c.mounts),
        "network": lambda values: lambda c: any(n in values or e.network_id in values for n, e in c.endpoints.items()),
        "expose": lambda values: _port_in("expose", values, lambda c: c.config.exposed_ports),
        "publish": lambda values: _port_in("publish", values, lambda c: _host_ports(c.ports)),
        "is-task": lambda values: lambda _: not {"1", "true"} & set(values),
        "isolation": lambda values: lambda _: "default" in values or "" in values,
    }
    return [makers[name](values) for name, values in filters.items() if values]


def _check_values(filters: Filters) -> None:
    for name, known, what in (("status", STATES, "state"), ("health", HEALTHS, "health")):
        for value in filters.get(name, ()):
            if value not in known:
                reason = f"invalid value for {what} ({value}): must be one of {', '.join(known)}"
                raise Invalid(f"invalid filter '{name}={value}': {reason}", reason="bad-filter")
    tasks = set(filters.get("is-task", ()))
    if tasks and not (tasks <= {"1", "true"} or tasks <= {"0", "false"}):
        raise Invalid(f"invalid filter 'is-task=[{' '.join(sorted(tasks))}]'", reason="bad-filter")
    for value in filters.get("exited", ()):
        if not re.fullmatch(r"[+-]?\d+", value):
            raise Invalid(f"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax", reason="bad-filter")


def _matches_any(text: str, patterns: Collection[str]) -> bool:
    """Each pattern is a regular expression that may match anywhere, or the text itself."""
    return any(pattern == text or _found(pattern, text) for pattern in patterns)


def _found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _created(catalog: ContainerCatalog, refs: Collection[str], *, before: bool) -> Predicate:
    moments = [catalog.get(ref).value.created for ref in refs]
    if before:
        return lambda c: all(c.created < moment for moment in moments)
    return lambda c: all(c.created > moment for moment in moments)


def _ancestor(refs: Collection[str], image_family: ImageFamily) -> Predicate:
    family = {image_id for ref in refs for image_id in image_family(ref)}
    return lambda c: c.image_id in family


def _port_in(name: str, values: Collection[str], ports_of: Callable[[Container], Collection[str]]) -> Predicate:
    wanted = {port for value in values for port in _port_range(name, value)}
    return lambda c: any(port in wanted for port in ports_of(c))


def _host_ports(ports: Mapping[str, tuple[PortBinding, ...]]) -> list[str]:
    """The published side of NetworkSettings.Ports: `8080/tcp`."""
    return [f"{binding.host_port}/{text.partition('/')[2]}" for text, bound in ports.items() for binding in bound]


def _port_range(name: str, text: str) -> Iterable[str]:
    """`80`, `80/udp`, `8000-8080/tcp` → every port of it as `80/tcp`. Refused in Go's words."""
    ports, _, protocol = text.partition("/")
    first, dash, last = ports.partition("-")
    for part in (first, last) if dash else (first,):
        if not part.isdecimal() or int(part) > 65535:
            fault = "value out of range" if part.isdecimal() else "invalid syntax"
            raise Invalid(f'error while looking up for {name} {text}: strconv.ParseUint: parsing "{part}": {fault}', reason="bad-filter")
    if dash and int(last) < int(first):
        raise Invalid(f"error while looking up for {name} {text}: Invalid range specified for the Port: {ports}", reason="bad-filter")
    return [f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last or first) + 1)]


def status_text(container: Container, now: int | None = None) -> str:
    """The STATUS column: "Up 5 minutes (healthy)", "Exited (0) 3 seconds ago"; `now` is ns since the epoch."""
    state = container.state
    moment = time.time_ns() if now is None else now
    ran, ended = _since(state.started_at, moment), _since(state.finished_at, moment)
    texts = {
        "running": f"Up {ran}{_HEALTH[None if state.health is None else state.health.status]}",
        "paused": f"Up {ran} (Paused)",
        "restarting": f"Restarting ({state.exit_code}) {ended} ago",
        "removing": "Removal In Progress",
        "dead": "Dead",
        "created": "Created",
        "exited": f"Exited ({state.exit_code}) {ended} ago",
    }
    return texts[state.status]


_HEALTH: Mapping[HealthStatus | None, str] = {
    None: "",
    "starting": " (health: starting)",
    "healthy": " (healthy)",
    "unhealthy": " (unhealthy)",
}


def _since(moment: int, now: int) -> str:
    return human_duration(max(0, now - moment) / 1e9)
