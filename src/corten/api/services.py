"""What the API's handlers call: the engine's services, one to a noun, and the listener for BuildKit's clients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from corten.engine.build.builds import Builds
from corten.engine.cleanup.service import Cleanup
from corten.engine.containers.commit import Commits
from corten.engine.containers.create.creation import Creation
from corten.engine.containers.execs import Execs
from corten.engine.containers.exit_reasons import ExitReasons
from corten.engine.containers.files.archives import ContainerFiles
from corten.engine.containers.inspection import ContainerQueries
from corten.engine.containers.removal import ContainerRemoval
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.containers.stats import Stats
from corten.engine.containers.streams import Streams
from corten.engine.containers.update import ContainerUpdate
from corten.engine.devices.requests import Devices
from corten.engine.events import Events
from corten.engine.images.service import Images
from corten.engine.networks.connections import Connections
from corten.engine.networks.networks import Networks
from corten.engine.system import System
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.push import Pushes
from corten.engine.transfer.registries import Registries
from corten.engine.usage import DiskUsage
from corten.engine.volumes import Volumes
from corten.http.request import Hijacked


class BuildKit(Protocol):
    """Where connections of BuildKit's clients go (`corten.api.buildkit`): a socket that is handed over is the listener's to close."""

    def control(self, services: "Services", taken: Hijacked) -> None:
        """Serves a client's calls on the connection, until it ends."""
        ...

    def session(self, services: "Services", taken: Hijacked, session_id: str, shared_key: str, methods: Sequence[str]) -> None:
        """Keeps the connection as a session: builds call the client's services over it."""
        ...

    def forget(self) -> None:
        """Removes contexts that are kept for later builds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers may call: one engine object per noun, made by `corten.daemon`. Who adds a noun adds its line here."""

    creation: Creation
    containers: ContainerQueries
    removal: ContainerRemoval
    update: ContainerUpdate
    lifecycle: Lifecycle
    streams: Streams
    execs: Execs
    exit_reasons: ExitReasons
    files: ContainerFiles
    stats: Stats
    events: Events
    system: System
    devices: Devices
    volumes: Volumes
    disk_usage: DiskUsage
    images: Images
    networks: Networks
    connections: Connections
    builds: Builds
    buildkit: BuildKit
    pulls: Pulls
    pushes: Pushes
    registries: Registries
    commits: Commits
    cleanup: Cleanup
