"""Containers as they are: look up, list, inspect, measure. Nothing is changed here."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corten.engine.containers.execs import Execs
from corten.engine.containers.links import names_by_links, shown_links
from corten.engine.containers.ps import ContainerListQuery, ImageFamily, select
from corten.engine.containers.storage import ContainerStorage
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process
from corten.engine.usage import DiskUsage
from corten.engine.values.container import Container
from corten.errors import Invalid
from corten.ids import ImageId


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


class ContainerQueries:
    def __init__(self, catalog: ContainerCatalog, storage: ContainerStorage, execs: Execs, figures: DiskUsage) -> None:
        self._catalog = catalog
        self._figures = figures
        self._storage = storage
        self._execs = execs

    def get(self, ref: str) -> Container:
        """By id, name or unambiguous id prefix. Raises NotFound, Invalid for an ambiguous prefix."""
        return self._catalog.get(ref).value

    def all(self) -> list[Container]:
        return [entry.value for entry in self._catalog]

    def list(self, query: ContainerListQuery, image_family: ImageFamily) -> list[Container]:
        """Newest first; `image_family` is asked for an `ancestor` filter."""
        return select(self._catalog, query, image_family)

    def link_names(self) -> Mapping[str, Sequence[str]]:
        """Container id -> what other containers call it by their links."""
        return names_by_links(self._catalog)

    def image_names(self, containers: Iterable[Container]) -> Sequence[str]:
        """How the user named each one's image, or its id once that name means another image or none."""
        meant: dict[str, ImageId | None] = {}  # many have the same image
        names = []
        for container in containers:
            ref = container.image_ref
            if ref not in meant:
                meant[ref] = self._find_image(ref)
            names.append(ref if meant[ref] == container.image_id else container.image_id)
        return names

    def _find_image(self, ref: str) -> ImageId | None:
        try:
            return self._storage.images.find_id(ref)
        except Invalid:
            return None

    def image_labels(self, container: Container) -> Mapping[str, str]:
        """Labels of the image that it was made from."""
        image = self._storage.images.by_id(container.image_id)
        return (image.config.run.labels or {}) if image else {}

    async def inspect(self, ref: str, *, size: bool = False) -> Inspection:
        """`size` measures what the container wrote, which takes its time."""
        container = self.get(ref)
        paths = self._storage.paths
        mode = container.host.network_mode
        owner = self._catalog.find(mode.removeprefix("container:"))
        folder = paths.container(owner.id if owner else container.id)
        running = has_process(container.state)
        return Inspection(
            container=shown_links(container, self._catalog),
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
        return (await self.all_sizes([container]))[0]

    async def all_sizes(self, containers: Sequence[Container]) -> Sequence[Sizes]:
        """Of each, from kept figures."""
        written = await self._figures.written(containers)
        images: dict[str, int] = {}
        for image_id in {c.image_id for c in containers}:
            image = self._storage.images.by_id(image_id)
            images[image_id] = image.size if image else 0
        return [Sizes(written[c.id], written[c.id] + images[c.image_id]) for c in containers]

    def _driver_data(self, container: Container) -> dict[str, str]:
        """The directories that make up its root file system, as Docker's overlay2 shows them."""
        upper = self._storage.snapshots.upper(container.id)
        layers = self._storage.snapshots.get(container.id).layers
        return {
            "ID": container.id,
            "LowerDir": ":".join(self._storage.layers.path(diff_id) for diff_id in reversed(layers)),
            "MergedDir": os.path.join(self._storage.paths.bundle(container.id), "rootfs"),
            "UpperDir": upper,
            "WorkDir": os.path.join(os.path.dirname(upper), "work"),
        }
