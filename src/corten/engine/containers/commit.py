"""`commit`: what a container has written becomes a layer on its image's, and its configuration the new image's."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from corten.engine.containers.create.merge import merged
from corten.engine.containers.mount_stubs import remove_own, without_own
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.events import Events
from corten.engine.images.changes import apply_changes
from corten.engine.records.containers import ContainerCatalog
from corten.engine.space import SpaceReclaimer
from corten.engine.timestamps import format_moment
from corten.engine.values.container import Container, ContainerConfig, HealthCheck
from corten.errors import Conflict, EngineError, NotFound
from corten.ids import ContainerId, DiffId, ImageId, random_hex64
from corten.oci.image import Healthcheck, History, ImageConfig, RootFs, RunConfig, encode_image_config
from corten.oci.platform import host_platform
from corten.oci.reference import Reference
from corten.store.changes import snapshot_changes
from corten.store.copytree import TreeCopy
from corten.store.files import disk_error
from corten.store.layertar.seal import seal_snapshot
from corten.store.opened import Store
from corten.store.records.leases import Lease

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """`pause`: a running container stands still meanwhile, so that its files fit each other. `config` goes over the container's own."""

    container: str
    reference: Reference | None = None
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: Sequence[str] = ()
    config: ContainerConfig | None = None


class Commits:
    """Belongs to the event loop; copying runs in a thread."""

    def __init__(self, store: Store, containers: ContainerCatalog, lifecycle: Lifecycle, events: Events, space: SpaceReclaimer) -> None:
        self._store = store
        self._containers = containers
        self._lifecycle = lifecycle
        self._events = events
        self._space = space

    async def commit(self, request: CommitRequest) -> ImageId:
        """The container goes on as it was. Raises NotFound, Invalid for a bad change, Unavailable when the disk is full."""
        return await self._space.retry(lambda: self._commit(request))

    async def _commit(self, request: CommitRequest) -> ImageId:
        container = self._containers.get(request.container).value
        config = container.config if request.config is None else merged(request.config, _run_config(container.config))
        run = apply_changes(_run_config(config), request.changes)
        stands_still = request.pause and await self._paused(container.id)
        try:
            with self._store.layers.lease() as lease:
                layer = await asyncio.to_thread(self._layer, container, lease)
                image_id = self._record(container, run, layer, request)
        finally:
            if stands_still:
                await self._resume(container.id)
        self._store.durability.settle_later()
        self._events.container(container, "commit", comment=request.comment, imageID=image_id, imageRef=_familiar(request.reference))
        return image_id

    async def _paused(self, container_id: ContainerId) -> bool:
        """Whether it stands still now, by our doing. One that ends meanwhile stands still anyway."""
        if self._containers.get(container_id).state.status != "running":
            return False
        try:
            await self._lifecycle.pause(container_id)
        except (Conflict, NotFound):
            return False
        return True

    async def _resume(self, container_id: ContainerId) -> None:
        try:
            await self._lifecycle.unpause(container_id)
        except EngineError:
            entry = self._containers.find(container_id)
            if entry is not None and entry.state.status == "paused":
                raise

    def _layer(self, container: Container, lease: Lease) -> DiffId | None:
        """A copy of the writable layer, since the container keeps its own; None when nothing was written."""
        snapshots = self._store.snapshots
        changes = snapshot_changes(snapshots, self._store.layers, container.id)
        if not without_own(changes):
            return None
        source = snapshots.upper(container.id)
        key = random_hex64()
        snapshots.prepare(key, snapshots.get(container.id).layers)
        try:
            _copy(source, snapshots.upper(key))
            remove_own(snapshots.upper(key), changes)
        except OSError as error:
            snapshots.remove(key)
            raise disk_error(error, f"copying the files of container {container.name}") from error
        return seal_snapshot(snapshots, self._store.layers, key, lease).diff_id

    def _record(self, container: Container, run: RunConfig, layer: DiffId | None, request: CommitRequest) -> ImageId:
        base = self._store.images.by_id(container.image_id)
        below = base.config if base else ImageConfig()
        layers = self._store.snapshots.get(container.id).layers
        created = format_moment(time.time_ns())
        command = " ".join(container.config.cmd or ())
        noted = History(created=created, created_by=command, author=request.author, comment=request.comment, empty_layer=layer is None)
        config = ImageConfig(
            architecture=below.architecture or host_platform().architecture,
            os="linux",
            variant=below.variant,
            created=created,
            author=request.author,
            comment=request.comment,
            config=run,
            rootfs=RootFs(diff_ids=[*layers, *([layer] if layer else [])]),
            history=[*(below.history or ()), noted],
        )
        with self._store.db.transaction():
            image_id = self._store.images.add(encode_image_config(config), parent=container.image_id)
            if request.reference:
                self._store.images.tag(request.reference, image_id)
        return image_id


def _copy(source: str, target: str) -> None:
    copy = TreeCopy(opaque=True)
    read, write = os.open(source, _DIRECTORY), os.open(target, _DIRECTORY)
    try:
        copy.contents(read, write)
    finally:
        copy.close()
        os.close(read)
        os.close(write)


def _familiar(reference: Reference | None) -> str:
    return reference.familiar if reference else ""


def _run_config(config: ContainerConfig) -> RunConfig:
    """The portable half of a container's configuration, as images keep it."""
    return RunConfig(
        user=config.user,
        exposed_ports={port: {} for port in config.exposed_ports} or None,
        env=list(config.env) or None,
        entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        cmd=None if config.cmd is None else list(config.cmd),
        volumes={path: {} for path in config.volumes} or None,
        working_dir=config.working_dir,
        labels=dict(config.labels) or None,
        stop_signal=config.stop_signal,
        healthcheck=_healthcheck(config.healthcheck),
        on_build=list(config.on_build) or None,
        shell=None if config.shell is None else list(config.shell),
        stop_timeout=config.stop_timeout,
    )


def _healthcheck(check: HealthCheck | None) -> Healthcheck | None:
    if check is None:
        return None
    return Healthcheck(
        test=list(check.test),
        interval=check.interval,
        timeout=check.timeout,
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries,
    )
