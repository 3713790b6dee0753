"""What a run holds (streams, runtime state, cgroup, network, mounts, shared memory): had before a start, given back behind the answer."""

import os
import shutil
from collections.abc import Mapping

from corten.engine.containers.log_config import stdio_spec
from corten.engine.containers.mounts import ContainerVolumes
from corten.engine.containers.protocols import ContainerNetworks, MonitorClient, NetworkAttachment
from corten.engine.containers.run.bundles import Bundles
from corten.engine.containers.staging import Staging
from corten.engine.paths import Paths
from corten.engine.spec.namespaces import is_container_mode
from corten.engine.values.container import Container, Endpoint
from corten.ids import ContainerId, is_hex64
from corten.monitor.events import Started


class RunResources:
    def __init__(
        self,
        monitors: MonitorClient,
        networks: ContainerNetworks,
        *,
        volumes: ContainerVolumes,
        staging: Staging,
        bundles: Bundles,
        paths: Paths,
    ) -> None:
        self.monitors = monitors
        self.networks = networks
        self.bundles = bundles
        self.paths = paths
        self._volumes = volumes
        self._staging = staging

    async def acquire(self, container: Container) -> tuple[NetworkAttachment, Mapping[str, str]]:
        """Its networks, and host paths of what was mounted for it, by destination. `release` gives back, also half of it."""
        if any(point.type == "volume" for point in container.mounts):
            await self._volumes.activate(container.id)
        sources = await self._staging.stage(container)
        return await self._attach(container), sources

    async def start(self, container: Container, attachment: NetworkAttachment, sources: Mapping[str, str]) -> Started:
        """The process, with what `acquire` gave."""
        start = self.bundles.write(container, attachment, sources)
        return await self.monitors.start(container.id, start, stdio_spec(container, self.paths.log(container.id)))

    async def release(self, container: Container) -> None:
        """Give back everything of `container`'s last run. Idempotent; the container itself may be gone already."""
        try:
            if not is_container_mode(container.host.network_mode):
                await self.networks.detach(container)
        finally:
            await self.clear(container.id)

    async def clear(self, container_id: str) -> None:
        """What the monitor and the runtime hold of it, and its bundle. Raises Conflict while it runs."""
        await self.monitors.forget(container_id, self.paths.state_root)
        self.bundles.remove_shm(container_id)
        self._staging.unstage(container_id)
        await self._volumes.deactivate(ContainerId(container_id))
        _remove_bundle(self.paths.bundle(container_id))

    def leftovers(self) -> set[str]:
        """Ids of containers that have files of a run."""
        return _names(self.paths.bundles) | _names(self.paths.state_root) | _names(self.paths.mounts)

    async def _attach(self, container: Container) -> NetworkAttachment:
        """Another container's namespace is joined by way of its process; every other mode is the networks' business."""
        mode = container.host.network_mode
        if is_container_mode(mode):
            return NetworkAttachment(netns=f"/proc/{self.bundles.joined(mode, 'network').state.pid}/ns/net")
        return await self.networks.attach(container)


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
