"""What containers need of processes and networks, as protocols: the real ones and the tests' fakes both satisfy them."""

from dataclasses import dataclass, field
from typing import Protocol

from corten.engine.values.container import Container, Endpoint, PortBinding
from corten.engine.values.links import Link
from corten.monitor.events import LiveContainer, Started
from corten.monitor.values import AttachOptions, JsonObject, LogOptions, StartSpec, StdioSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachment:
    """What a container has on its networks while it runs.

    `netns`: path of the namespace to join, None = the host's. `hosts` and `resolv_conf` are the texts of its files in /etc.
    """

    netns: str | None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ports: dict[str, tuple[PortBinding, ...]] = field(default_factory=dict)
    hosts: str = ""
    resolv_conf: str = ""


class ContainerNetworks(Protocol):
    def check(self, container: Container) -> None:
        """At create: raise Invalid for what can be known to be wrong before a start."""
        ...

    async def renamed(self, container: Container) -> None:
        """It has another name from now on."""
        ...

    async def unlinked(self, container: Container, link: Link) -> None:
        """It has that link no longer."""
        ...

    async def attach(self, container: Container) -> NetworkAttachment:
        """Connect it to every network of `container.endpoints` (modes none, host and bridges). Undone by `detach`."""
        ...

    async def detach(self, container: Container) -> None:
        """Give everything back. Idempotent; may take tens of milliseconds."""
        ...


class MonitorHandle(Protocol):
    """`corten.monitor.client.LiveHandle`: one container's processes."""

    async def resize(self, height: int, width: int, *, exec_id: str | None = None) -> None: ...
    async def kill(self, signal: int, *, all: bool = False) -> None: ...
    async def kill_exec(self, exec_id: str, signal: int) -> None: ...
    async def pause(self) -> None: ...
    async def resume(self) -> None: ...
    async def update(self, resources: JsonObject) -> None: ...
    async def pids(self) -> list[int]: ...
    async def stats(self) -> JsonObject: ...


class MonitorClient(Protocol):
    """`corten.monitor.client.Monitors`, where each method's contract stands."""

    def live(self) -> dict[str, LiveContainer]: ...
    def of(self, container_id: str) -> MonitorHandle: ...
    async def prepare(self, container_id: str, stdio: StdioSpec) -> None: ...
    async def start(self, container_id: str, spec: StartSpec, stdio: StdioSpec) -> Started: ...
    async def attach(self, container_id: str, options: AttachOptions, sock_fd: int, initial: bytes = b"") -> None: ...
    async def exec_start(
        self,
        container_id: str,
        exec_id: str,
        process: JsonObject,
        *,
        options: AttachOptions,
        sock_fd: int | None = None,
        initial: bytes = b"",
    ) -> int: ...
    async def logs(self, container_id: str, options: LogOptions, sock_fd: int) -> None: ...
    async def forget(self, container_id: str, state_root: str) -> None: ...
