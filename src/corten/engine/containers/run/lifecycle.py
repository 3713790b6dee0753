"""Start, stop, restart, kill, pause and wait: what moves a container through its states by a user's will.

A container's lock is held while its state changes, never while its process takes its time to end: ends are noted by
`corten.engine.containers.run.exit_handling`, under the same lock, whoever caused them.
"""

import asyncio
from dataclasses import replace

from corten.engine.containers.protocols import MonitorClient
from corten.engine.containers.run.exit_handling import ExitHandler
from corten.engine.containers.run.launch import Launch
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process, is_up, require, transition
from corten.engine.records.waiters import Condition, WaitResult
from corten.engine.signals import parse_signal
from corten.engine.space import SpaceReclaimer
from corten.errors import Conflict, EngineError, Invalid, NotFound

SIGKILL = 9
SIGTERM = 15
DEFAULT_STOP_SECONDS = 10
KILL_SECONDS = 10
"""How long a killed process may take to go (it may hang in the kernel, on a dead disk) before the caller is told."""


class Lifecycle:
    def __init__(
        self, catalog: ContainerCatalog, launch: Launch, exits: ExitHandler, monitors: MonitorClient, events: Events, space: SpaceReclaimer
    ) -> None:
        self._catalog = catalog
        self._launch = launch
        self._exits = exits
        self._monitors = monitors
        self._events = events
        self._space = space

    async def start(self, ref: str) -> None:
        """Returns when the user's program runs. Raises NotModified when it does already, and what prevented it otherwise."""
        await self._space.retry(lambda: self._start(ref))

    async def _start(self, ref: str) -> None:
        entry = self._catalog.get(ref)
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            require("start", entry.value, ref)
            await self._launch_anew(entry)

    async def stop(self, ref: str, *, signal: str = "", timeout: int | None = None) -> None:
        """Ask it to end, and kill it after `timeout` seconds (None: the container's own, negative: never). NotModified when stopped."""
        entry = self._catalog.get(ref)
        try:
            number = parse_signal(signal) if signal else None
        except Invalid as error:
            raise Invalid(f"cannot stop container: {ref}: {error.message}", reason=error.reason) from None
        require("stop", entry.value, ref)
        await self._stop(entry, number, timeout)

    async def restart(self, ref: str, *, signal: str = "", timeout: int | None = None) -> None:
        """Stop it if it runs, then start it; it is neither removed nor restarted by its policy in between."""
        entry = self._catalog.get(ref)
        entry.held = True
        try:
            number = parse_signal(signal) if signal else None
            if is_up(entry.state):
                await self._stop(entry, number, timeout)
            async with entry.lock:
                self._catalog.check_present(entry, ref)
                require("start", entry.value, ref)
                await self._launch_anew(entry)
        except EngineError as error:
            raise type(error)(f"Cannot restart container {ref}: {error.message}", reason=error.reason, hint=error.hint) from error
        finally:
            entry.held = False
        self._events.container(entry.value, "restart")

    async def kill(self, ref: str, signal: str = "") -> None:
        """Send a signal; for SIGKILL wait for the end too."""
        entry = self._catalog.get(ref)
        try:
            number = parse_signal(signal) if signal else SIGKILL
        except Invalid as error:
            raise Invalid(f"cannot kill container: {ref}: {error.message}", reason=error.reason) from None
        require("kill", entry.value, ref)
        if number == SIGKILL:
            await self.kill_and_wait(entry)
            return
        if number == self._stop_signal(entry):
            self._note_manual_stop(entry)
        await self._send(entry, number)

    async def kill_and_wait(self, entry: ContainerEntry) -> None:
        """SIGKILL, until it is over and noted. Raises Conflict if it does not go."""
        self._note_manual_stop(entry)
        if entry.state.status == "restarting":
            await self._exits.cancel_restart(entry)
        if not has_process(entry.state):
            return
        self._note_manual_stop(entry)
        ended = entry.waiters.next_exit()
        try:
            await self._send(entry, SIGKILL)
            async with asyncio.timeout(KILL_SECONDS):
                await ended
        except TimeoutError:
            who = f"container {entry.id} PID {entry.state.pid}"
            text = f"{who} is zombie and can not be killed. Use the --init option when creating containers to run an init"
            raise Conflict(f"cannot kill container: {entry.value.name}: {text}", reason="will-not-die") from None
        finally:
            ended.cancel()

    async def pause(self, ref: str) -> None:
        entry = self._catalog.get(ref)
        async with entry.lock:
            require("pause", entry.value, ref)
            await self._monitors.of(entry.id).pause()
            self._catalog.set_live(entry, state=transition(entry.state, "paused"))
        self._events.container(entry.value, "pause")

    async def unpause(self, ref: str) -> None:
        entry = self._catalog.get(ref)
        async with entry.lock:
            require("unpause", entry.value, ref)
            await self._resume(entry)

    def wait(self, ref: str, condition: Condition) -> "asyncio.Future[WaitResult]":
        """A future that resolves when `condition` holds. It counts from this call on, so a start after it is not missed."""
        entry = self._catalog.get(ref)
        if condition == "removed":
            return entry.waiters.removal()
        if condition == "not-running" and not is_up(entry.state):
            future: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
            future.set_result(WaitResult(entry.state.exit_code))
            return future
        return entry.waiters.next_exit()

    async def _launch_anew(self, entry: ContainerEntry) -> None:
        """A start by the user: counting of restarts begins anew."""
        entry.pause = 0.0
        await self._exits.wait_for_cleanup(entry)
        await self._launch.run(entry, restart_count=0)

    async def _stop(self, entry: ContainerEntry, signal: int | None, timeout: int | None) -> None:
        self._note_manual_stop(entry)
        if entry.state.status == "restarting":
            await self._exits.cancel_restart(entry)
        if has_process(entry.state):
            self._note_manual_stop(entry)  # a restart that was under way has cleared it
            await self._end(entry, signal or self._stop_signal(entry), _patience(entry, timeout))
        self._events.container(entry.value, "stop")

    async def _end(self, entry: ContainerEntry, signal: int, patience: float | None) -> None:
        """Signal, wait, kill."""
        ended = entry.waiters.next_exit()
        try:
            await self._send(entry, signal)
            async with asyncio.timeout(patience):
                await asyncio.shield(ended)
        except TimeoutError:
            if has_process(entry.state):
                await self.kill_and_wait(entry)
        finally:
            ended.cancel()

    async def _send(self, entry: ContainerEntry, signal: int) -> None:
        """A frozen container is thawed by a signal that is to end it. One that just ended is what was wanted."""
        try:
            await self._monitors.of(entry.id).kill(signal)
        except (NotFound, Conflict):
            if signal not in (SIGKILL, self._stop_signal(entry)):
                raise
            return
        self._events.container(entry.value, "kill", signal=str(signal))
        if entry.state.status == "paused" and signal in (SIGKILL, SIGTERM, self._stop_signal(entry)):
            async with entry.lock:
                if entry.state.status == "paused":
                    await self._resume(entry)

    async def _resume(self, entry: ContainerEntry) -> None:
        await self._monitors.of(entry.id).resume()
        self._catalog.set_live(entry, state=transition(entry.state, "unpaused"))
        self._events.container(entry.value, "unpause")

    def _note_manual_stop(self, entry: ContainerEntry) -> None:
        if not entry.state.manually_stopped:
            self._catalog.set_live(entry, state=replace(entry.state, manually_stopped=True))

    def _stop_signal(self, entry: ContainerEntry) -> int:
        text = entry.value.config.stop_signal
        return parse_signal(text) if text else SIGTERM


def _patience(entry: ContainerEntry, timeout: int | None) -> float | None:
    if timeout is None:
        timeout = entry.value.config.stop_timeout
    if timeout is None:
        return DEFAULT_STOP_SECONDS
    return None if timeout < 0 else timeout
