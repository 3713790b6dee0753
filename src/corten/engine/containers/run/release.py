"""What a run holds (streams, runtime state, cgroup, network, shared memory) and how it is given back, behind the answer."""

import shutil
from dataclasses import dataclass

from corten.engine.containers.mounts import Volumes
from corten.engine.containers.run.bundles import Bundles
from corten.engine.containers.run.needs import Networks, Processes
from corten.engine.paths import Paths
from corten.engine.spec.namespaces import is_container_mode
from corten.engine.values.container import Container, Endpoint


@dataclass(frozen=True, slots=True)
class Rented:
    """Whom a run takes things from."""

    monitors: Processes
    networks: Networks
    volumes: Volumes
    paths: Paths


class Release:
    def __init__(self, rented: Rented, bundles: Bundles) -> None:
        self._rented = rented
        self._bundles = bundles

    async def run(self, container: Container) -> None:
        """Give back everything of `container`'s last run. Idempotent; the container itself may be gone already."""
        try:
            if not is_container_mode(container.host.network_mode):
                await self._rented.networks.detach(container)
        finally:
            await self._rented.monitors.forget(container.id, self._rented.paths.state_root)
            self._bundles.remove_shm(container.id)
            shutil.rmtree(self._rented.paths.bundle(container.id), ignore_errors=True)


def disconnected(container: Container) -> dict[str, Endpoint]:
    """Its endpoints with what only a running container has taken out."""
    return {
        name: Endpoint(config=endpoint.config, network_id=endpoint.network_id, dns_names=endpoint.dns_names)
        for name, endpoint in container.endpoints.items()
    }
