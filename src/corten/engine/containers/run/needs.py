"""What containers need of networks, as a protocol: the real ones and the tests' fakes both satisfy it."""

from dataclasses import dataclass, field
from typing import Protocol

from corten.engine.values.container import Container, Endpoint, PortBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlace:
    """A container's place on its networks while it runs.

    `netns`: path of the namespace to join, None = the host's. `hosts` and `resolv_conf` are the texts of its files in /etc.
    """

    netns: str | None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ports: dict[str, tuple[PortBinding, ...]] = field(default_factory=dict)
    hosts: str = ""
    resolv_conf: str = ""


class Networks(Protocol):
    async def attach(self, container: Container) -> NetworkPlace:
        """Connect it to every network of `container.endpoints` (modes none, host and bridges). Undone by `detach`."""
        ...

    async def detach(self, container: Container) -> None:
        """Give everything back. Idempotent; may take tens of milliseconds."""
        ...
