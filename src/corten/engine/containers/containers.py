"""Containers as a collection: look up, list, rename, remove, prune, update."""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from corten.engine.containers.catalog import Catalog, Entry
from corten.engine.containers.create.names import check_name
from corten.engine.containers.listing import ListQuery, check_filters, has_labels, select
from corten.engine.containers.removal import Removal
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.containers.shelves import Shelves
from corten.engine.containers.state import has_process, is_up, moved, require
from corten.engine.events import Events
from corten.engine.execs import Execs
from corten.engine.moments import parse_moment
from corten.engine.values.container import Container
from corten.errors import Conflict, EngineError, Invalid, NotFound, Unsupported
from corten.ids import ContainerId, ImageId


@dataclass(frozen=True, slots=True)
class Pruned:
    ids: tuple[ContainerId, ...]
    reclaimed: int  # bytes


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: what the container wrote, and with its image."""

    writable: int
    root: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Everything that inspect shows of one container."""

    container: Container
    exec_ids: Sequence[str]
    sizes: Sizes | None
    hostname_path: str
    hosts_path: str
    resolv_conf_path: str
    log_path: str
    netns_path: str
    driver_data: Mapping[str, str]


class Containers:
    def __init__(self, catalog: Catalog, shelves: Shelves, lifecycle: Lifecycle, removal: Removal, execs: Execs, events: Events) -> None:
        self._catalog = catalog
        self._shelves = shelves
        self._lifecycle = lifecycle
        self._removal = removal
        self._execs = execs
        self._events = events

    def get(self, ref: str) -> Container:
        """By id, name or unambiguous id prefix. Raises NotFound, Invalid for an ambiguous prefix."""
        return self._catalog.get(ref).value

    def all(self) -> list[Container]:
        return [entry.value for entry in self._catalog]

    def list(self, query: ListQuery) -> list[Container]:
        """Newest first."""
        return select(self._catalog, query, self._image_family)

    def current_image_name(self, container: Container) -> str:
        """How the user named the image, or its id once that name means another image or none."""
        try:
            same = self._shelves.images.find_id(container.image_ref) == container.image_id
        except Invalid:
            same = False
        return container.image_ref if same else container.image_id

    def using_image(self, image_id: ImageId) -> Sequence[Container]:
        return [entry.value for entry in self._catalog if entry.value.image_id == image_id]

    async def inspect(self, ref: str, *, size: bool = False) -> Inspection:
        """`size` measures what the container wrote, which takes its time."""
        container = self.get(ref)
        paths = self._shelves.paths
        mode = container.host.network_mode
        owner = self._catalog.find(mode.removeprefix("container:"))
        folder = paths.container(owner.id if owner else container.id)
        running = has_process(container.state)
        return Inspection(
            container=container,
            exec_ids=self._execs.running_in(container.id),
            sizes=await self.sizes(container) if size else None,
            hostname_path=os.path.join(folder, "hostname"),
            hosts_path=os.path.join(folder, "hosts"),
            resolv_conf_path=os.path.join(folder, "resolv.conf"),
            log_path="" if container.host.log_config.type == "none" else paths.log(container.id),
            netns_path=f"/proc/{container.state.pid}/ns/net" if running and not mode.startswith("container:") else "",
            driver_data=self._driver_data(container),
        )

    async def sizes(self, container: Container) -> Sizes:
        usage = await asyncio.to_thread(self._shelves.snapshots.usage, container.id)
        image = self._shelves.images.by_id(container.image_id)
        return Sizes(usage.size, usage.size + (image.size if image else 0))

    async def rename(self, ref: str, name: str) -> None:
        """Raises Invalid or, for a name in use, Conflict."""
        new = name.removeprefix("/")
        entry = self._catalog.get(ref)
        if not new:
            raise Invalid("Neither old nor new names may be empty", reason="bad-name")
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            old = entry.value.name
            if new == old:
                raise Invalid("Renaming a container with the same name as its current name", reason="same-name")
            try:
                check_name(new, shown=f"/{new}")
                self._catalog.replace(entry, replace(entry.value, name=new))
            except (Invalid, Conflict) as error:
                raise type(error)(f"Error when allocating new name: {error.message}", reason=error.reason) from error
        self._events.container(entry.value, "rename", oldName=f"/{old}")

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Raises Conflict for one that runs, unless `force`, which kills it. `volumes`: its anonymous volumes too."""
        if link:
            raise Unsupported("removing a link is not supported", reason="links-not-built", hint="use a network with aliases")
        entry = self._catalog.get(ref)
        if force:
            await self._end(entry)
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            require("remove", entry.value, ref)
            await self._delete(entry, volumes)

    async def prune(self, filters: Mapping[str, Collection[str]]) -> Pruned:
        """Remove every container that does not run, as far as `label`, `label!` and `until` allow."""
        check_filters(filters, ("label", "label!", "until"))
        until = min((parse_moment(text) for text in filters.get("until", ())), default=None)
        removed: list[ContainerId] = []
        reclaimed = 0
        for entry in self._catalog:
            if not _is_prunable(entry.value, filters, until):
                continue
            try:
                size = (await self.sizes(entry.value)).writable
                await self.remove(entry.id)
            except (NotFound, Conflict):
                continue  # gone or started meanwhile
            removed.append(entry.id)
            reclaimed += size
        self._events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
        return Pruned(tuple(removed), reclaimed)

    def _driver_data(self, container: Container) -> dict[str, str]:
        """The directories that make up its root file system, as Docker's overlay2 shows them."""
        upper = self._shelves.snapshots.upper(container.id)
        layers = self._shelves.snapshots.get(container.id).layers
        return {
            "ID": container.id,
            "LowerDir": ":".join(self._shelves.layers.path(diff_id) for diff_id in reversed(layers)),
            "MergedDir": os.path.join(self._shelves.paths.bundle(container.id), "rootfs"),
            "UpperDir": upper,
            "WorkDir": os.path.join(os.path.dirname(upper), "work"),
        }

    def _image_family(self, ref: str) -> Collection[ImageId]:
        """The image that `ref` means and every image built on it."""
        images = self._shelves.images
        try:
            first = images.find_id(ref)
        except Invalid:
            return ()
        family = [first] if first else []
        for image_id in family:
            family += [child for child in images.children(image_id) if child not in family]
        return family

    async def _end(self, entry: Entry) -> None:
        """Kill it; it shall neither start again nor remove itself meanwhile."""
        entry.held = True
        try:
            if is_up(entry.state):
                await self._lifecycle.kill_and_wait(entry)
        finally:
            entry.held = False

    async def _delete(self, entry: Entry, volumes: bool) -> None:
        """A removal that fails half-way (disk error) leaves a dead container, which can be removed again."""
        self._catalog.set_live(entry, state=moved(entry.state, "removing"))
        try:
            await self._removal.delete(entry, volumes=volumes)
        except (EngineError, OSError) as error:
            if self._catalog.find(entry.id) is entry:
                self._catalog.set_live(entry, state=replace(moved(entry.state, "remove_failed"), error=str(error)))
            raise


def _is_prunable(container: Container, filters: Mapping[str, Collection[str]], until: int | None) -> bool:
    labels = container.config.labels
    if is_up(container.state) or container.state.status == "removing" or not has_labels(labels, filters.get("label", ())):
        return False
    if any(has_labels(labels, [unwanted]) for unwanted in filters.get("label!", ())):
        return False
    return until is None or container.created < until
