"""One start of one container: network, bundle, process. The caller holds the entry's lock."""

from dataclasses import replace
from typing import NoReturn

from corten.engine.containers.deletion import ContainerDeletion
from corten.engine.containers.links import check_linked
from corten.engine.containers.mounts import ensure_sources
from corten.engine.containers.run.resources import RunResources, disconnected
from corten.engine.containers.start_errors import start_failure
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import failed_to_start, started
from corten.errors import EngineError
from corten.monitor.events import Started


class Launch:
    def __init__(self, catalog: ContainerCatalog, resources: RunResources, deletion: ContainerDeletion, events: Events) -> None:
        self._catalog = catalog
        self._resources = resources
        self._deletion = deletion
        self._events = events

    async def run(self, entry: ContainerEntry, *, restart_count: int) -> None:
        """Returns when the program runs. What fails is given back, remembered in the state (or removed with --rm), and raised."""
        try:
            running = await self._start(entry)
        except EngineError as error:
            await self._failed(entry, error)
        state = started(entry.state, pid=running.pid, at=running.started_at)
        self._catalog.set_live(entry, state=replace(state, restart_count=restart_count))
        entry.prepared = True
        self._events.container(entry.value, "start")

    async def _start(self, entry: ContainerEntry) -> Started:
        container = entry.value
        check_linked(container, self._catalog)
        ensure_sources(container.mounts)
        attachment, sources = await self._resources.acquire(container)
        # On disk before the process: whoever finds it after a crash knows its addresses.
        self._catalog.set_live(entry, endpoints=attachment.endpoints, ports=attachment.ports)
        return await self._resources.start(entry.value, attachment, sources)

    async def _failed(self, entry: ContainerEntry, error: EngineError) -> NoReturn:
        code, failure = start_failure(error)
        tried = entry.value
        entry.prepared = False
        state = failed_to_start(tried.state, exit_code=code, message=failure.message)
        self._catalog.set_live(entry, state=state, endpoints=disconnected(tried), ports={})
        await self._resources.release(tried)
        if tried.host.auto_remove:
            await self._deletion.delete(entry, volumes=True)
        raise failure from error
