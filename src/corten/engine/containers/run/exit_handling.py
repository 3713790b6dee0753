"""What follows when a container's process is over: the state, the event, the next start or the removal, and the clean-up.

    Exited ──▶ state + "die" event ──▶ policy says start again ──▶ clean-up, pause, start
                       │          └──▶ --rm ──▶ deleted, clean-up
                       └─ waiters answered      └──▶ clean-up

Clean-up (network, cgroup, streams) takes tens of milliseconds of waiting in the kernel, so nobody waits for it but the next start.
"""

import asyncio
import logging
import time
from dataclasses import replace

from corten.engine.containers.deletion import ContainerDeletion
from corten.engine.containers.exit_reasons import ExitReasons
from corten.engine.containers.restart_policy import ExitInfo, next_pause, wants_restart
from corten.engine.containers.run.launch import Launch
from corten.engine.containers.run.resources import RunResources, disconnected
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import died, has_process, transition
from corten.engine.records.waiters import WaitResult
from corten.engine.tasks import Tasks
from corten.errors import EngineError
from corten.monitor.events import Exited

logger = logging.getLogger("corten.engine")


class ExitHandler:
    def __init__(
        self,
        catalog: ContainerCatalog,
        launch: Launch,
        *,
        deletion: ContainerDeletion,
        resources: RunResources,
        events: Events,
        tasks: Tasks,
        reasons: ExitReasons,
    ) -> None:
        self._catalog = catalog
        self._launch = launch
        self._deletion = deletion
        self._resources = resources
        self._events = events
        self._tasks = tasks
        self._reasons = reasons

    async def handle_exit(self, exit: Exited) -> None:
        """A main process is over. An end that was noted already, or of a container that is gone, changes nothing."""
        entry = self._catalog.find(exit.container_id)
        if entry is None:
            return
        async with entry.lock:
            if self._catalog.find(entry.id) is not entry or not has_process(entry.state):
                return
            await self._settle(entry, exit)

    def handle_oom(self, container_id: str) -> None:
        """The kernel killed a process of it for memory; the container may go on."""
        entry = self._catalog.find(container_id)
        if entry is not None:
            self._events.container(entry.value, "oom")

    async def wait_for_cleanup(self, entry: ContainerEntry) -> None:
        """Returns when nothing is left of earlier runs; held by whoever starts the next one."""
        if entry.cleanup is not None:
            await asyncio.wait([entry.cleanup])

    async def cancel_restart(self, entry: ContainerEntry) -> None:
        """End the waiting for an automatic restart."""
        async with entry.lock:
            if entry.state.status != "restarting":
                return
            if entry.restart is not None:
                entry.restart.cancel()
                entry.restart = None
            self._catalog.set_live(entry, state=transition(entry.state, "gave_up"))
            self._answer(entry)

    def restart_now(self, entry: ContainerEntry) -> None:
        """At start-up: a container that its policy wants running, with no pause."""
        entry.restart = self._tasks.spawn(self._restart(entry, 0.0), f"restart of {entry.value.name}")

    async def _settle(self, entry: ContainerEntry, exit: Exited) -> None:
        before = entry.value
        ended_at = exit.finished_at or time.time_ns()  # 0: nobody saw it
        ending = ExitInfo(exit.exit_code, max(0, ended_at - before.state.started_at), before.state.manually_stopped)
        again = not entry.held and wants_restart(before.host.restart_policy, ending, before.state.restart_count)
        state = died(before.state, exit_code=exit.exit_code, at=ended_at, oom_killed=exit.oom_killed)
        entry.prepared = False
        goes = before.host.auto_remove and not entry.held and not again
        if again:
            state = replace(transition(state, "will_restart"), restart_count=state.restart_count + 1)
        if goes:
            entry.value = replace(before, state=state)
        else:
            self._catalog.set_live(entry, state=state, endpoints=disconnected(before), ports={})
        if exit.exit_code or exit.oom_killed:
            self._reasons.record(replace(before, state=state), before.state.pid)
        lasted = str(ending.lasted // 1_000_000_000)
        self._events.container(before, "die", execDuration=lasted, exitCode=str(exit.exit_code))
        self._answer(entry)
        if goes:
            await self._deletion.delete(entry, volumes=True)
        entry.cleanup = self._tasks.spawn(self._resources.release(before), f"clean-up after {before.name}")
        if again:
            entry.pause = next_pause(entry.pause, ending)
            entry.restart = self._tasks.spawn(self._restart(entry, entry.pause), f"restart of {before.name}")

    def _answer(self, entry: ContainerEntry) -> None:
        entry.waiters.ended(WaitResult(entry.state.exit_code))

    async def _restart(self, entry: ContainerEntry, pause: float) -> None:
        await asyncio.sleep(pause)
        await self.wait_for_cleanup(entry)
        async with entry.lock:
            if self._catalog.find(entry.id) is not entry or entry.state.status not in ("restarting", "exited"):
                return
            entry.restart = None
            try:
                await self._launch.run(entry, restart_count=entry.state.restart_count)
            except EngineError as error:
                logger.warning("restarting container %s failed: %s", entry.value.name, error.message)
                self._answer(entry)
