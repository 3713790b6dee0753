"""Runs the health checks of all containers: a timer of the event loop for each that runs, a task only while its probe does.

Told of every container's events, it begins at "start" and "unpause" and ends at "die" and "pause"; a probe that is under way then is
killed and its result dropped. What a result changes is in the container's state, so that it outlives the daemon.
"""

import asyncio
import time
from dataclasses import dataclass, replace

from corten.engine.containers.execs import Execs
from corten.engine.containers.health.probe import Probe
from corten.engine.containers.health.status import after_probe, find_check, probe_command, probe_interval, probe_timeout, started, stopped
from corten.engine.containers.protocols import MonitorClient
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.tasks import Tasks
from corten.engine.values.container import Container, Health, HealthCheck


@dataclass(slots=True, eq=False)
class _Watch:
    """A container whose check is run: it waits for `timer` or for `probe`."""

    entry: ContainerEntry
    check: HealthCheck
    timer: asyncio.TimerHandle | None = None
    probe: "asyncio.Task[None] | None" = None


class HealthChecks:
    def __init__(self, catalog: ContainerCatalog, execs: Execs, monitors: MonitorClient, events: Events, tasks: Tasks) -> None:
        self._catalog = catalog
        self._execs = execs
        self._monitors = monitors
        self._probe = Probe(execs, monitors)
        self._events = events
        self._tasks = tasks
        self._watches: dict[str, _Watch] = {}

    def on_container_event(self, container: Container, action: str) -> None:
        """To be told of what containers do."""
        entry = self._catalog.find(container.id)
        if entry is None or action not in ("start", "unpause", "pause", "die"):
            return
        if action in ("pause", "die"):
            self._end(entry)
            return
        check = find_check(container.config)
        if check is None:
            return
        if action == "start":
            self._set(entry, started(entry.state.health))
        self._begin(entry, check)

    def adopt(self) -> None:
        """At start-up, when every container's state is true again: go on where the last daemon ended; kill the probes that it left."""
        live = self._monitors.live()
        for entry in self._catalog:
            check = find_check(entry.value.config)
            if entry.state.status != "running" or check is None or entry.id in self._watches:
                continue
            if entry.state.health is None:
                self._set(entry, started(None))
            self._begin(entry, check)
            for exec_id, left in live[entry.id].execs.items() if entry.id in live else ():
                if left.exit_code is None and not self._execs.is_known(exec_id):
                    self._tasks.spawn(self._probe.kill(entry.id, exec_id), f"end of a probe in {entry.value.name}")

    def _begin(self, entry: ContainerEntry, check: HealthCheck) -> None:
        self._forget(entry)
        watch = self._watches[entry.id] = _Watch(entry, check)
        self._wait(watch)

    def _end(self, entry: ContainerEntry) -> None:
        self._forget(entry)
        if entry.state.health is not None:
            self._set(entry, stopped(entry.state.health))

    def _forget(self, entry: ContainerEntry) -> None:
        watch = self._watches.pop(entry.id, None)
        if watch is None:
            return
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.probe is not None:
            watch.probe.cancel()

    def _wait(self, watch: _Watch) -> None:
        """For the time of its next probe."""
        state = watch.entry.state
        assert state.health is not None
        pause = probe_interval(watch.check, state.health, age=time.time_ns() - state.started_at)
        watch.probe = None
        watch.timer = asyncio.get_running_loop().call_later(pause / 1e9, self._due, watch)

    def _due(self, watch: _Watch) -> None:
        watch.timer = None
        watch.probe = self._tasks.spawn(self._run(watch), f"health check of {watch.entry.value.name}")

    async def _run(self, watch: _Watch) -> None:
        entry, check = watch.entry, watch.check
        result = await self._probe.run(entry.value, probe_command(entry.value.config), probe_timeout(check))
        if self._watches.get(entry.id) is not watch:
            return
        before = entry.state.health
        assert before is not None
        after = after_probe(before, check, result, started_at=entry.state.started_at)
        self._set(entry, after)
        if after.status != before.status:
            self._events.container(entry.value, f"health_status: {after.status}")
        self._wait(watch)

    def _set(self, entry: ContainerEntry, health: Health) -> None:
        self._catalog.set_live(entry, state=replace(entry.state, health=health))
