"""At start-up: what the database says against what the monitors hold, and the first made true.

row says       monitor says         then
running        running              go on
running        exited, or nothing   its end is noted now (code from disk, 255 when nobody knows); its policy decides
exited         exited (that run)    noted already: what was left of the clean-up is done
anything else  running, or exited   the start had been under way: it counts as started
restarting     nothing              start it
dead           anything             finish the removal that failed
(no row)       anything             kill it, give everything back
"""

import asyncio
import json
import logging
import os
import time
from dataclasses import replace

from corten.engine.containers.deletion import ContainerDeletion
from corten.engine.containers.execs import Execs
from corten.engine.containers.protocols import MonitorClient
from corten.engine.containers.restart_policy import wants_start_with_daemon
from corten.engine.containers.run.exit_handling import ExitHandler
from corten.engine.containers.run.resources import RunResources
from corten.engine.paths import Paths
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process, started
from corten.engine.spec.namespaces import is_container_mode
from corten.engine.values.container import Container
from corten.errors import Conflict, NotFound
from corten.monitor.events import Exited, LiveContainer
from corten.monitor.values import UNKNOWN_EXIT

SIGKILL = 9
_EVICTION_TRIES, _EVICTION_PAUSE = 100, 0.05
logger = logging.getLogger("corten.engine")


class Reconcile:
    def __init__(
        self,
        catalog: ContainerCatalog,
        exits: ExitHandler,
        deletion: ContainerDeletion,
        resources: RunResources,
        execs: Execs,
        monitors: MonitorClient,
    ) -> None:
        self._catalog = catalog
        self._exits = exits
        self._deletion = deletion
        self._resources = resources
        self._execs = execs
        self._monitors = monitors
        self._live: dict[str, LiveContainer] = {}

    def adopt(self) -> list[Container]:
        """First, before anything else: take up what lives. Returns the containers that run, as they now are, for the networks."""
        self._live = self._monitors.live()
        for entry in self._catalog:
            found = self._live.get(entry.id)
            self._execs.adopt(entry.id, found)
            if found is not None and found.status != "prepared" and entry.state.status != "dead" and not _is_noted(entry, found):
                self._take_up(entry, found)
        running = (entry for entry in self._catalog if entry.id in self._live and self._live[entry.id].status == "running")
        return [entry.value for entry in running if not is_container_mode(entry.value.host.network_mode)]

    async def settle(self) -> None:
        """Then, once the networks stand: note ends, start what shall run, finish removals, clear away the rest."""
        orphans = dict(self._live)
        for entry in self._catalog:
            await self._settle(entry, orphans.pop(entry.id, None))
        for container_id in orphans:
            await self._evict(container_id)
        await self._sweep()

    async def _settle(self, entry: ContainerEntry, found: LiveContainer | None) -> None:
        if entry.state.status == "dead":
            await self._finish_removal(entry, found)
        elif found is None or found.status == "prepared" or _is_noted(entry, found):
            await self._settle_without_process(entry, found)
        elif found.status == "exited":
            code = UNKNOWN_EXIT if found.exit_code is None else found.exit_code
            await self._exits.handle_exit(Exited(entry.id, None, code, found.finished_at, found.oom_killed))

    async def _settle_without_process(self, entry: ContainerEntry, found: LiveContainer | None) -> None:
        if found is not None:
            await self._resources.clear(entry.id)
        if has_process(entry.state):
            await self._exits.handle_exit(_recorded_end(self._resources.paths, entry))
        elif entry.state.status == "restarting" or wants_start_with_daemon(entry.value):
            self._exits.restart_now(entry)

    def _take_up(self, entry: ContainerEntry, found: LiveContainer) -> None:
        entry.prepared = True
        state = entry.state
        if not has_process(state):
            state = started(state, pid=found.pid, at=found.started_at)
        state = replace(state, pid=found.pid, status="paused" if found.paused else "running")
        if state != entry.state:
            self._catalog.set_live(entry, state=state)

    async def _finish_removal(self, entry: ContainerEntry, found: LiveContainer | None) -> None:
        if found is not None:
            await self._evict(entry.id)
        async with entry.lock:
            await self._deletion.delete(entry, volumes=True)

    async def _evict(self, container_id: str) -> None:
        """End what runs without a container, and everything that it holds at the monitor."""
        try:
            await self._monitors.of(container_id).kill(SIGKILL)
        except (NotFound, Conflict):
            pass  # over already
        for _ in range(_EVICTION_TRIES):
            try:
                await self._resources.clear(container_id)
                return
            except Conflict:
                await asyncio.sleep(_EVICTION_PAUSE)
        logger.error("killing the processes of removed container %s failed: they do not end", container_id)

    async def _sweep(self) -> None:
        """Writable layers and files that no container has, run-time state that no process has: what a crash cut short."""
        known = {entry.id for entry in self._catalog}
        self._deletion.sweep(known)
        for container_id in self._resources.leftovers() - self._monitors.live().keys():
            await self._resources.clear(container_id)


def _is_noted(entry: ContainerEntry, found: LiveContainer) -> bool:
    """Whether the monitor holds a run whose end is in the database."""
    return found.status == "exited" and not has_process(entry.state) and entry.state.started_at == found.started_at


def _recorded_end(paths: Paths, entry: ContainerEntry) -> Exited:
    """What the monitor wrote down before it went, too; else nobody knows how it ended."""
    try:
        with open(os.path.join(paths.bundle(entry.id), "exit.json"), encoding="utf-8") as file:
            record = json.load(file)
        if record["finished_at"] >= entry.state.started_at:
            return Exited(entry.id, None, record["exit_code"], record["finished_at"], record["oom_killed"])
    except (OSError, ValueError, KeyError):
        pass
    return Exited(entry.id, None, UNKNOWN_EXIT, time.time_ns(), False)
