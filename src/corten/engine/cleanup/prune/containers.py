"""`container prune`: every container that does not run."""

from collections.abc import Mapping

from corten.engine.cleanup.prune.options import PROTECTED, KeptObject, PruneFilter, PruneOptions, PruneReport
from corten.engine.containers.inspection import ContainerQueries
from corten.engine.containers.removal import ContainerRemoval
from corten.engine.events import Events
from corten.engine.protection import is_protected_container
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import is_up
from corten.engine.values.container import Container
from corten.errors import Conflict, NotFound


class ContainerPrune:
    """Belongs to the event loop."""

    def __init__(self, catalog: ContainerCatalog, containers: ContainerQueries, removal: ContainerRemoval, events: Events) -> None:
        self._catalog = catalog
        self._containers = containers
        self._removal = removal
        self._events = events

    async def run(self, filter: PruneFilter, options: PruneOptions) -> PruneReport:
        names: list[str] = []
        kept: list[KeptObject] = []
        reclaimed = 0
        for entry in self._catalog:
            container = entry.value
            if not _is_idle(container) or not filter.wants(container.config.labels, container.created):
                continue
            if not options.force_protected and self.is_protected(container):
                kept.append(KeptObject(container.name, PROTECTED))
                continue
            try:
                size = (await self._containers.sizes(container)).writable
                if not options.dry:
                    await self._removal.remove(entry.id, force_protected=True)
            except (NotFound, Conflict):
                continue  # gone or started meanwhile
            names.append(entry.id)
            reclaimed += size
        if not options.dry:
            self._events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
        return PruneReport(tuple(names), reclaimed, tuple(kept))

    def is_protected(self, container: Container) -> bool:
        return is_protected_container(container.config.labels, self._image_labels(container))

    def _image_labels(self, container: Container) -> Mapping[str, str]:
        return self._containers.image_labels(container)


def _is_idle(container: Container) -> bool:
    return not is_up(container.state) and container.state.status != "removing"
