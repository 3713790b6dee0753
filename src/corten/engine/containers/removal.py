"""`docker rm`: a container, or one of its links, removed by a user."""

from dataclasses import replace

from corten.engine.containers.deletion import ContainerDeletion
from corten.engine.containers.inspection import ContainerQueries
from corten.engine.containers.links import linking, without_link
from corten.engine.containers.protocols import ContainerNetworks
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.protection import check_container
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import is_up, require, transition
from corten.errors import EngineError


class ContainerRemoval:
    def __init__(
        self,
        catalog: ContainerCatalog,
        containers: ContainerQueries,
        lifecycle: Lifecycle,
        deletion: ContainerDeletion,
        networks: ContainerNetworks,
    ) -> None:
        self._catalog = catalog
        self._containers = containers
        self._lifecycle = lifecycle
        self._deletion = deletion
        self._networks = networks

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False, force_protected: bool = False
    ) -> None:
        """`volumes`: its anonymous volumes too. Raises Conflict for a protected one and, unless `force` kills it, for one that runs.
        `link`: `ref` is a link (`web/db`), which alone is removed."""
        if link:
            await self._unlink(ref)
            return
        entry = self._catalog.get(ref)
        if not force_protected:
            check_container(entry.value.name, entry.value.config.labels, self._containers.image_labels(entry.value))
        if force:
            await self._end(entry)
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            require("remove", entry.value, ref)
            await self._delete(entry, volumes)

    async def _unlink(self, name: str) -> None:
        entry, _ = linking(name, self._catalog)
        async with entry.lock:
            self._catalog.check_present(entry, name)
            entry, link = linking(name, self._catalog)
            self._catalog.replace(entry, without_link(entry.value, link))
            await self._networks.unlinked(entry.value, link)

    async def _end(self, entry: ContainerEntry) -> None:
        """Kill it; it shall neither start again nor remove itself meanwhile."""
        entry.held = True
        try:
            if is_up(entry.state):
                await self._lifecycle.kill_and_wait(entry)
        finally:
            entry.held = False

    async def _delete(self, entry: ContainerEntry, volumes: bool) -> None:
        """A removal that fails half-way (disk error) leaves a dead container, which can be removed again.

        "removing" is never written: the rows go in one transaction, or stay as they are."""
        entry.value = replace(entry.value, state=transition(entry.state, "removing"))
        try:
            await self._deletion.delete(entry, volumes=volumes)
        except (EngineError, OSError) as error:
            if self._catalog.find(entry.id) is entry:
                self._catalog.set_live(entry, state=replace(transition(entry.state, "remove_failed"), error=str(error)))
            raise
