"""One start of one container: network, bundle, process. The caller holds the entry's lock."""

from dataclasses import replace
from typing import NoReturn

from corten.engine.containers.links import check_linked
from corten.engine.containers.log_config import stdio_spec
from corten.engine.containers.mounts import ensure_sources
from corten.engine.containers.protocols import NetworkPlace
from corten.engine.containers.removal import Removal
from corten.engine.containers.run.bundles import Bundles
from corten.engine.containers.run.release import Release, Rented, disconnected
from corten.engine.containers.start_errors import start_failure
from corten.engine.events import Events
from corten.engine.records.containers import Catalog, Entry
from corten.engine.records.state import failed_to_start, started
from corten.engine.spec.namespaces import is_container_mode
from corten.engine.values.container import Container
from corten.errors import EngineError
from corten.monitor.events import Started


class Launch:
    def __init__(self, catalog: Catalog, rented: Rented, bundles: Bundles, release: Release, removal: Removal, events: Events) -> None:
        self._catalog = catalog
        self._rented = rented
        self._bundles = bundles
        self._release = release
        self._removal = removal
        self._events = events

    async def run(self, entry: Entry, *, restart_count: int) -> None:
        """Returns when the program runs. What fails is given back, remembered in the state (or removed with --rm), and raised."""
        try:
            running = await self._start(entry)
        except EngineError as error:
            await self._failed(entry, error)
        state = started(entry.state, pid=running.pid, at=running.started_at)
        self._catalog.set_live(entry, state=replace(state, restart_count=restart_count))
        entry.prepared = True
        self._events.container(entry.value, "start")

    async def _start(self, entry: Entry) -> Started:
        container = entry.value
        check_linked(container, self._catalog)
        ensure_sources(container.mounts)
        if any(point.type == "volume" for point in container.mounts):
            await self._rented.volumes.activate(container.id)
        sources = await self._rented.staging.stage(container)
        place = await self._place(container)
        # On disk before the process: whoever finds it after a crash knows its addresses.
        self._catalog.set_live(entry, endpoints=place.endpoints, ports=place.ports)
        start = self._bundles.write(entry.value, place, sources)
        return await self._rented.monitors.start(entry.id, start, stdio_spec(entry.value, self._rented.paths.log(entry.id)))

    async def _place(self, container: Container) -> NetworkPlace:
        """Another container's namespace is joined by way of its process; every other mode is the networks' business."""
        mode = container.host.network_mode
        if is_container_mode(mode):
            return NetworkPlace(netns=f"/proc/{self._bundles.joined(mode, 'network').state.pid}/ns/net")
        return await self._rented.networks.attach(container)

    async def _failed(self, entry: Entry, error: EngineError) -> NoReturn:
        code, failure = start_failure(error)
        tried = entry.value
        entry.prepared = False
        state = failed_to_start(tried.state, exit_code=code, message=failure.message)
        self._catalog.set_live(entry, state=state, endpoints=disconnected(tried), ports={})
        await self._release.run(tried)
        if tried.host.auto_remove:
            await self._removal.delete(entry, volumes=True)
        raise failure from error
