"""The daemon's handle on launcher and monitors: start containers, give clients their streams, hear of exits.

Used from one asyncio loop. Nothing here owns a process: launcher and monitors outlive the daemon, and a new `Monitors.connect`
finds all of them with their containers. A killed launcher or monitor is replaced behind the caller's back; a request that was
under way to a process that died is repeated if it had not begun or may be done twice, and otherwise raises LinkLost (an Unavailable).

Descriptors: every `sock_fd` stays the caller's, who closes it when the call is over, whatever came of it; the monitor has its own
copy from then on. A client's stream ends (both directions shut down) when the process is over and its output is through.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from corten.monitor.events import Event, LiveContainer, Started
from corten.monitor.fleet import Fleet
from corten.monitor.values import AttachOptions, JsonObject, LogOptions, StartSpec, StdioSpec

LAUNCHER = (sys.executable, "-I", os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch", "start.py"))


class Monitors:
    """All containers that have streams or a process."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @classmethod
    async def connect(cls, exec_root: str, *, on_event: Callable[[Event], None], command: Sequence[str] = LAUNCHER) -> "Monitors":
        """Find the launcher of `exec_root` or start one; then `live()` tells what runs. `on_event` is called in the loop, in order.

        No Exited is delivered for what was over before: `live()` shows it. Raises Unavailable when no launcher can be started.
        """
        fleet = Fleet(exec_root, on_event, command)
        await fleet.open()
        return cls(fleet)

    async def close(self) -> None:
        """Hang up; launcher, monitors and containers go on."""
        await self._fleet.close()

    async def stop(self) -> None:
        """End launcher and monitors. Raises Conflict while a container is held; meant for tests and for uninstalling."""
        await self._fleet.stop()

    def live(self) -> dict[str, LiveContainer]:
        """Every container that is prepared, running, or exited and not yet forgotten, by id."""
        return self._fleet.live()

    def of(self, container_id: str) -> "LiveHandle":
        """Signals, resizing, pausing and figures of one container, which must be live when a method is called (else NotFound)."""
        return LiveHandle(self._fleet, container_id)

    async def prepare(self, container_id: str, stdio: StdioSpec) -> None:
        """Open its streams before there is a process, so that clients can attach first. Needs no `prepare` otherwise: see `start`.

        Idempotent. `forget` undoes it.
        """
        await self._fleet.place(container_id, "prepare", {"stdio": stdio})

    async def start(self, container_id: str, spec: StartSpec, stdio: StdioSpec) -> Started:
        """Create and start the process; returns once the user's program runs. `stdio` counts only if it was not prepared.

        Raises what the runtime raises (reason "exec-not-found", "exec-permission", "bad-cwd", ...); then nothing is left, not even
        what `prepare` opened, and attached clients have seen their stream end. Conflict if it is running, or exited and not forgotten.
        """
        answer = await self._fleet.place(container_id, "start", {"spec": spec, "stdio": stdio})
        return Started(answer["pid"], answer["started_at"])

    async def attach(self, container_id: str, options: AttachOptions, sock_fd: int, initial: bytes = b"") -> None:
        """Give a client a container's streams. `initial` are bytes that the client already sent after the request's head.

        Works for prepared and running containers (NotFound, Conflict otherwise). Returns once the monitor has the client: every
        byte that the process writes from then on reaches it; with `logs` also every byte before, once.
        """
        await self._fleet.request_once(container_id, "attach", {"options": options, "initial": initial.hex()}, (sock_fd,))

    async def exec_start(
        self,
        container_id: str,
        exec_id: str,
        process: JsonObject,
        *,
        options: AttachOptions,
        sock_fd: int | None = None,
        initial: bytes = b"",
    ) -> int:
        """Run an OCI `process` object in the container; its `terminal` and `consoleSize` are honoured. Returns the pid.

        With `sock_fd` None nobody listens (detached): all its streams are /dev/null. Raises what the runtime raises.
        An Exited with this `exec_id` follows when it is over.
        """
        fds = () if sock_fd is None else (sock_fd,)
        arguments = {"exec_id": exec_id, "process": process, "options": options, "initial": initial.hex()}
        answer = await self._fleet.request_once(container_id, "exec", arguments, fds)
        pid: int = answer["pid"]
        return pid

    async def logs(self, container_id: str, options: LogOptions, sock_fd: int) -> None:
        """Write a container's log to a client, alive or not, and end its stream. Returns when the reader has it."""
        await self._fleet.launch_once("logs", {"id": container_id, "options": options}, (sock_fd,))

    async def forget(self, container_id: str, state_root: str) -> None:
        """Give up an exited or prepared container: runtime state and cgroup are deleted, its clients' streams end.

        Idempotent; returns at once when it is unknown, after deleting what the runtime still has of it under `state_root`.
        Conflict while it is running.
        """
        await self._fleet.forget(container_id, state_root)


class LiveHandle:
    """One container's process and execs. Each method raises NotFound when the container (or exec) is not live."""

    def __init__(self, fleet: Fleet, container_id: str) -> None:
        self._fleet = fleet
        self._id = container_id

    async def resize(self, height: int, width: int, *, exec_id: str | None = None) -> None:
        """Conflict if it has no terminal."""
        await self._ask("resize", {"exec_id": exec_id, "size": [height, width]})

    async def kill(self, signal: int, *, all: bool = False) -> None:
        """Signal the main process, or every process in the container. Conflict if it is not running."""
        await self._ask("kill", {"exec_id": None, "signal": signal, "all": all})

    async def kill_exec(self, exec_id: str, signal: int) -> None:
        await self._ask("kill", {"exec_id": exec_id, "signal": signal, "all": False})

    async def pause(self) -> None:
        """Freeze the container's cgroup."""
        await self._fleet.freeze(self._id, paused=True)

    async def resume(self) -> None:
        await self._fleet.freeze(self._id, paused=False)

    async def update(self, resources: JsonObject) -> None:
        """Set OCI `linux.resources` on the running container."""
        await self._ask("update", {"resources": resources})

    async def pids(self) -> list[int]:
        """All processes in it, in the host's numbers."""
        answer = await self._ask("pids", {})
        pids: list[int] = answer["pids"]
        return pids

    async def stats(self) -> JsonObject:
        """The cgroup's figures as `corten.kernel.cgroup` reads them."""
        return await self._ask("stats", {})

    async def _ask(self, op: str, arguments: dict[str, Any]) -> JsonObject:
        return await self._fleet.request(self._id, op, arguments)
