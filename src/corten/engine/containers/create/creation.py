"""Making a container: the request checked, completed from the image and the daemon's defaults, and written down.

Row and writable layer come in one transaction. A crash before it leaves at most a held volume, which the next start lets go.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from corten.config import Config
from corten.engine.cachemounts import with_caches
from corten.engine.containers.create.checks import check, platform_warning, warnings, with_defaults
from corten.engine.containers.create.merge import argv, merged
from corten.engine.containers.create.names import check_name, free_name
from corten.engine.containers.links import settled_links
from corten.engine.containers.log_config import check_log_config
from corten.engine.containers.mounts import requested, volumes_from, with_images, with_volumes
from corten.engine.containers.protocols import ContainerNetworks
from corten.engine.containers.storage import ContainerStorage
from corten.engine.events import Events
from corten.engine.host import HostFacts
from corten.engine.images.catalog import ImageCatalog
from corten.engine.records.containers import ContainerCatalog, name_in_use
from corten.engine.space import SpaceReclaimer
from corten.engine.spec.bind_owner import ANNOTATION
from corten.engine.spec.checks import check_options
from corten.engine.spec.limits import discard_unsupported
from corten.engine.spec.placement import Machine
from corten.engine.values.container import Container, ContainerConfig, Endpoint, EndpointConfig, HostConfig, MountPoint
from corten.errors import EngineError, Invalid, NotFound
from corten.ids import ContainerId, NetworkId, new_container_id, short_id
from corten.oci.platform import Platform, normalise, parse_platform
from corten.store.images import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """`name` "" = make one up. `client`: uid and gid of the process that asks, where the kernel tells."""

    config: ContainerConfig
    host: HostConfig = field(default_factory=HostConfig)
    endpoints: Sequence[EndpointConfig] = ()
    name: str = ""
    platform: str = ""
    client: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CreateResult:
    id: ContainerId
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateDefaults:
    """What a request is measured against and completed from."""

    config: Config
    facts: HostFacts
    machine: Machine

    def check(self, request: CreateRequest) -> None:
        """Raises what no machine, or not this one, could run."""
        check(request.config, request.host, self.facts, self.config.runtimes)
        check_options(request.config, request.host, self.machine)


class Creation:
    def __init__(
        self,
        catalog: ContainerCatalog,
        storage: ContainerStorage,
        *,
        images: ImageCatalog,
        defaults: CreateDefaults,
        networks: ContainerNetworks,
        events: Events,
        space: SpaceReclaimer,
    ) -> None:
        self._catalog = catalog
        self._storage = storage
        self._images = images
        self._defaults = defaults
        self._networks = networks
        self._events = events
        self._space = space

    async def create(self, request: CreateRequest) -> CreateResult:
        """Raises NotFound for an unknown image, Conflict for a name in use, Invalid for what cannot be."""
        return await self._space.retry(lambda: self._create(request))

    async def _create(self, request: CreateRequest) -> CreateResult:
        self._check_name(request.name)
        if not request.config.image:
            raise Invalid("no command specified", reason="no-image")
        image = self._images.get(request.config.image, parse_platform(request.platform) if request.platform else None)
        defaults = self._defaults
        defaults.check(request)
        container = self._draft(request, image)
        check_log_config(container.host.log_config)  # also options for the default driver, which the request does not name
        resources, discarded = discard_unsupported(container.host.resources, defaults.machine.limits)
        container = replace(container, host=replace(container.host, resources=resources))
        self._networks.check(container)
        points = self._mount_points(container)
        try:
            mounts = await with_volumes(
                points, self._storage.volumes, user=container.id, layers=image.layers, driver=container.host.volume_driver
            )
            container = replace(container, mounts=mounts)
            self._store(container, image)
        except (EngineError, OSError):
            await self._storage.volumes.release(container.id, remove_anonymous=True, for_good=True)
            raise
        self._events.container(container, "create")
        foreign = [] if request.platform else platform_warning(_platform(image), defaults.facts)
        return CreateResult(container.id, (*foreign, *discarded, *warnings(request.config, request.host)))

    def _check_name(self, name: str) -> None:
        if not name:
            return
        check_name(name)
        if owner := self._catalog.name_owner(name):
            raise name_in_use(name, owner)

    def _draft(self, request: CreateRequest, image: Image) -> Container:
        """The container with everything settled but its mounts."""
        container_id = new_container_id()
        host = self._settled(with_defaults(request.host, self._defaults.facts, self._defaults.config))
        if self._defaults.config.bind_user == "me" and request.client is not None:
            owner = "{}:{}".format(*request.client)
            host = replace(host, annotations={ANNOTATION: owner, **host.annotations})
        config = merged(request.config, image.config.run)
        command = argv(config)
        if not config.hostname:
            config = replace(config, hostname=self._hostname(host, container_id))
        return Container(
            id=container_id,
            name=request.name or free_name(self._catalog.is_taken),
            created=time.time_ns(),
            image_id=image.id,
            image_ref=request.config.image,
            path=command[0],
            args=command[1:],
            config=config,
            host=host,
            endpoints=_endpoints(request, host),
        )

    def _settled(self, host: HostConfig) -> HostConfig:
        """References to other containers as ids."""
        if host.pid_mode.startswith("container:"):
            host = replace(host, pid_mode=f"container:{self._other(host.pid_mode)}")
        if host.ipc_mode.startswith("container:"):
            host = replace(host, ipc_mode=f"container:{self._other(host.ipc_mode)}")
        if host.network_mode.startswith("container:"):
            try:
                host = replace(host, network_mode=f"container:{self._catalog.get(host.network_mode.partition(':')[2]).id}")
            except NotFound:
                pass  # said at start, as Docker does: it may be created in between
        return replace(host, links=settled_links(host, self._catalog)) if host.links else host

    def _mount_points(self, container: Container) -> list[MountPoint]:
        """What is asked for, its images known; volumes still have to be made."""
        others = volumes_from(container.host.volumes_from, lambda ref: self._catalog.get(ref).value)
        points = with_caches(requested(container.config, container.host, others), self._storage.caches)
        place = os.path.join(self._storage.paths.mounts, container.id)
        return with_images(points, lambda ref: self._images.get(ref).layers, place)

    def _other(self, mode: str) -> ContainerId:
        try:
            return self._catalog.get(mode.partition(":")[2]).id
        except NotFound as error:
            raise Invalid(error.message, reason=error.reason) from error

    def _hostname(self, host: HostConfig, container_id: ContainerId) -> str:
        if host.network_mode == "host" or host.uts_mode == "host":
            return self._defaults.facts.hostname
        owner = self._catalog.find(host.network_mode.removeprefix("container:"))
        return owner.value.config.hostname if owner else short_id(container_id)

    def _store(self, container: Container, image: Image) -> None:
        with self._storage.database.transaction():
            self._storage.prepare(container, image.layers)
            self._catalog.add(container)


def _platform(image: Image) -> Platform:
    return normalise(image.config.os or "linux", image.config.architecture, image.config.variant)


def _endpoints(request: CreateRequest, host: HostConfig) -> dict[str, Endpoint]:
    """What inspect shows before the first start: the network of the mode, and those the request adds."""
    if host.network_mode.startswith("container:"):
        return {}
    names = {host.network_mode: EndpointConfig(network=host.network_mode, mac_address=request.config.mac_address)}
    for wanted in request.endpoints:
        names[host.network_mode if wanted.network == "default" else wanted.network] = wanted
    return {name: Endpoint(config=wanted, network_id=NetworkId("")) for name, wanted in names.items()}
