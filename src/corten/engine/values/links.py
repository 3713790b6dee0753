"""Links as text: how users write them and how a container keeps them. Pure."""

from dataclasses import dataclass

from corten.engine.values.container import Container, HostConfig
from corten.errors import EngineError

_NOT_USER_DEFINED = frozenset(("", "default", "bridge", "none", "host"))


@dataclass(frozen=True, slots=True)
class Link:
    """The linked container, by id in a container as stored and as the user named it before, and what it is called."""

    target: str
    alias: str

    def __str__(self) -> str:
        return f"{self.target}:{self.alias}"


def parse_link(text: str) -> Link:
    """`NAME`, `NAME:ALIAS`, or as inspect shows it, `/NAME:/OWNER/ALIAS`. Raises EngineError, as Docker does, for more parts."""
    parts = text.split(":")
    if not text:
        raise EngineError("empty string specified for links", reason="bad-link")
    if len(parts) > 2:
        raise EngineError(f"bad format for links: {text}", reason="bad-link")
    target = parts[0].removeprefix("/")
    alias = parts[-1]
    if parts[0].startswith("/"):
        alias = alias.rpartition("/")[2]
    return Link(target, alias)


def links_of(host: HostConfig) -> list[Link]:
    """Those of a container as stored."""
    return [parse_link(text) for text in host.links]


def not_linkable(link: Link, owner: Container, name: str) -> EngineError:
    return EngineError(f"Cannot link to a non running container: /{name} AS /{owner.name}/{link.alias}", reason="link-not-running")


def has_links(host: HostConfig) -> bool:
    """Whether this mode knows links of the host configuration; on networks with names they belong to the endpoint."""
    return host.network_mode in _NOT_USER_DEFINED
