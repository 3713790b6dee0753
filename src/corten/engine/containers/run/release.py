"""What a run holds (streams, runtime state, cgroup, network, shared memory) and how it is given back, behind the answer."""

import os
import shutil
from dataclasses import dataclass

from corten.engine.containers.mounts import Volumes
from corten.engine.containers.protocols import Networks, Processes
from corten.engine.containers.run.bundles import Bundles
from corten.engine.containers.staging import Staging
from corten.engine.paths import Paths
from corten.engine.spec.namespaces import is_container_mode
from corten.engine.values.container import Container, Endpoint
from corten.ids import ContainerId, is_hex64


@dataclass(frozen=True, slots=True)
class Rented:
    """Whom a run takes things from."""

    monitors: Processes
    networks: Networks
    volumes: Volumes
    staging: Staging
    paths: Paths


class Release:
    def __init__(self, rented: Rented, bundles: Bundles) -> None:
        self._rented = rented
        self._bundles = bundles

    @property
    def paths(self) -> Paths:
        return self._rented.paths

    async def run(self, container: Container) -> None:
        """Give back everything of `container`'s last run. Idempotent; the container itself may be gone already."""
        try:
            if not is_container_mode(container.host.network_mode):
                await self._rented.networks.detach(container)
        finally:
            await self.clear(container.id)

    async def clear(self, container_id: str) -> None:
        """What the monitor and the runtime hold of it, and its bundle. Raises Conflict while it runs."""
        await self._rented.monitors.forget(container_id, self._rented.paths.state_root)
        self._bundles.remove_shm(container_id)
        self._rented.staging.unstage(container_id)
        await self._rented.volumes.deactivate(ContainerId(container_id))
        _remove_bundle(self._rented.paths.bundle(container_id))

    def leftovers(self) -> set[str]:
        """Ids of containers that have files of a run."""
        return _names(self.paths.bundles) | _names(self.paths.state_root) | _names(self.paths.mounts)


def _remove_bundle(path: str) -> None:
    """What is usually in it by name: a walk of the tree takes five times as long."""
    try:
        os.unlink(os.path.join(path, "config.json"))
        os.unlink(os.path.join(path, "exit.json"))
        os.rmdir(os.path.join(path, "rootfs"))
        os.rmdir(path)
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def _names(folder: str) -> set[str]:
    return {name for name in os.listdir(folder) if is_hex64(name)} if os.path.isdir(folder) else set()


def disconnected(container: Container) -> dict[str, Endpoint]:
    """Its endpoints with what only a running container has taken out."""
    return {
        name: Endpoint(config=endpoint.config, network_id=endpoint.network_id, dns_names=endpoint.dns_names)
        for name, endpoint in container.endpoints.items()
    }
