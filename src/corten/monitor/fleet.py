"""The daemon's picture of launcher and monitors, kept true while any of them dies: connections, placement, what is live.

One background task (`_supervise`) brings picture and processes together whenever something changed: no launcher -> start one; a
monitor not connected -> connect and take its containers' states; too little room -> have another one forked. Requests wait for it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from corten.errors import Conflict, EngineError, NotFound, Unavailable
from corten.monitor.events import Detached, Event, Exited, LauncherLost, LiveContainer, LiveExec, LogFailed, MonitorLost, OomKilled
from corten.monitor.link import Link, LinkLost
from corten.monitor.values import MONITOR_CAPACITY, UNKNOWN_EXIT, ContainerState, JsonObject
from corten.monitor.wire import claim, new_claim

SPARE_PLACES = 4
"""With fewer free places than this another monitor is forked ahead of need."""

REPAIR_SECONDS = 15.0
"""How long a request waits for a dead launcher or monitor to be replaced."""

START_SECONDS = 60.0
"""How long the daemon's own start waits for them: on a slow machine an interpreter alone takes some seconds to start."""

_ANSWER_SECONDS = 10.0
_T = TypeVar("_T")


class Peer:
    """One monitor: its connection and what it holds."""

    __slots__ = ("greeted", "link", "name", "retiring", "states")

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self.link = link
        self.states: dict[str, ContainerState] = {}
        self.greeted = False
        self.retiring = False

    @property
    def is_ready(self) -> bool:
        """Connected, and `states` is what it said of itself."""
        return self.greeted and self.link.is_open

    @property
    def room(self) -> int:
        return MONITOR_CAPACITY - len(self.states) if self.is_ready and not self.retiring else 0


class Fleet:
    """Launcher and monitors of one `exec_root`."""

    def __init__(self, exec_root: str, on_event: Callable[[Event], None], command: Sequence[str]) -> None:
        """`command` starts a launcher when `exec_root` is appended to it."""
        self._root = exec_root
        self._command = command
        self._on_event = on_event
        self._peers: dict[str, Peer] = {}
        self._launcher: Link | None = None
        self._starting: set[str] = set()
        self._crowded = False
        self._wake = asyncio.Event()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._converge()
        except TimeoutError:
            text = f"the launcher did not answer within {START_SECONDS:.0f} seconds"
            raise Unavailable(text, reason="launcher-unreachable", hint="see launcher.log in the exec root") from None
        self._task = asyncio.create_task(self._supervise(), name="monitor fleet")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for link in self._links():
            link.close()

    async def stop(self) -> None:
        if any(peer.states for peer in self._peers.values()):
            raise Conflict("containers are still held", reason="containers-held")
        launcher = await self._reached_launcher()
        if self._task is not None:
            self._task.cancel()
        for peer in self._peers.values():
            peer.retiring = True
        await launcher.request("stop", {})
        await self.close()

    def live(self) -> dict[str, LiveContainer]:
        return {name: _live(state) for peer in self._peers.values() for name, state in peer.states.items()}

    async def request(self, container_id: str, op: str, arguments: JsonObject) -> JsonObject:
        """Ask the monitor that holds the container; after a monitor's death its replacement. For what may be done twice."""
        while True:
            peer = await self._home(container_id)
            try:
                answer = await peer.link.request(op, {"id": container_id} | arguments)
            except LinkLost:
                continue
            return answer

    async def request_once(self, container_id: str, op: str, arguments: JsonObject, fds: tuple[int, ...]) -> JsonObject:
        """For what must not be done twice: repeated only if the monitor died before it had begun, LinkLost otherwise."""
        while True:
            peer = await self._home(container_id)
            answer = await self._claimed(peer.link, op, {"id": container_id} | arguments, fds)
            if answer is not None:
                return answer

    async def launch_once(self, op: str, arguments: JsonObject, fds: tuple[int, ...]) -> None:
        """The same of the launcher."""
        answer = None
        while answer is None:
            answer = await self._claimed(await self._reached_launcher(), op, arguments, fds)

    async def launch(self, op: str, arguments: JsonObject) -> JsonObject:
        """Ask the launcher, or the one that replaces it, for what may be done twice."""
        while True:
            try:
                return await (await self._reached_launcher()).request(op, arguments)
            except LinkLost:
                continue

    async def _claimed(self, link: Link, op: str, arguments: JsonObject, fds: tuple[int, ...]) -> JsonObject | None:
        """The answer; None if the other end died without having begun, so that it can be asked again."""
        token = new_claim()
        try:
            return await link.request(op, arguments, (token, *fds))
        except LinkLost:
            if claim(token):
                return None
            raise
        finally:
            os.close(token)

    async def _home(self, container_id: str) -> Peer:
        return await self._until(partial(self._find_home, container_id), f"container {container_id}")

    async def _reached_launcher(self) -> Link:
        return await self._until(self._find_launcher, "the launcher")

    async def place(self, container_id: str, op: str, arguments: JsonObject) -> JsonObject:
        """Ask the container's monitor, or the one best suited to take it in."""
        peer = await self._until(partial(self._find_place, container_id), "a monitor with room")
        self._starting.add(container_id)
        try:
            answer = await peer.link.request(op, {"id": container_id} | arguments)
        except LinkLost as lost:
            return await self._outcome(container_id, arguments, lost)
        except EngineError as error:
            if error.reason != "already-running":
                peer.states.pop(container_id, None)
            raise
        finally:
            self._starting.discard(container_id)
        if self._free_places() < SPARE_PLACES:
            self._wake.set()
        return answer

    async def forget(self, container_id: str, state_root: str) -> None:
        """Its monitor gives it up; then a fork of the launcher waits for the kernel to take its cgroup down."""
        try:
            await self.request(container_id, "forget", {})
        except NotFound:
            pass
        peer = self._holder(container_id)
        if peer is not None:
            del peer.states[container_id]
            self._announce()
        await self.launch("job", {"what": "delete", "id": container_id, "state_root": state_root})
        await self._retire_spare()

    async def freeze(self, container_id: str, *, paused: bool) -> None:
        """Pause or resume, which may wait for processes in the kernel: not in a monitor."""
        await self.launch("job", {"what": "pause" if paused else "resume", "id": container_id})
        await self.request(container_id, "mark", {"paused": paused})

    # What is known now: None = not yet, wait for news.

    def _find_launcher(self) -> Link | None:
        return self._launcher if self._launcher is not None and self._launcher.is_open else None

    def _is_settled(self) -> bool:
        return self._find_launcher() is not None and all(p.is_ready for p in self._peers.values())

    def _find_home(self, container_id: str) -> Peer | None:
        peer = self._holder(container_id)
        if peer is not None:
            return peer if peer.is_ready else None
        if self._is_settled():
            raise NotFound(f"container {container_id} is not running", reason="not-live")
        return None

    def _find_place(self, container_id: str) -> Peer | None:
        """Its own monitor; else the least busy with room, the fullest of those (so that others empty and can go)."""
        home = self._holder(container_id)
        if home is not None:
            return home if home.is_ready else None
        candidates = [p for p in self._peers.values() if p.room > 0]
        if not candidates:
            self._wake.set()
            return None
        best = min(candidates, key=lambda p: (p.link.in_flight, p.room))
        if best.link.in_flight and len(candidates) < (os.cpu_count() or 1):
            self._crowded = True
            self._wake.set()
        return best

    def _holder(self, container_id: str) -> Peer | None:
        return next((p for p in self._peers.values() if container_id in p.states), None)

    def _free_places(self) -> int:
        return sum(p.room for p in self._peers.values())

    def _links(self) -> Iterator[Link]:
        if self._launcher is not None:
            yield self._launcher
        for peer in self._peers.values():
            yield peer.link

    async def _until(self, find: Callable[[], _T | None], what: str) -> _T:
        try:
            async with asyncio.timeout(REPAIR_SECONDS):
                while (found := find()) is None:
                    await asyncio.shield(self._news)
                return found
        except TimeoutError:
            raise Unavailable(f"{what} cannot be reached", reason="monitor-unreachable", hint="see launcher.log in the exec root") from None

    async def _outcome(self, container_id: str, arguments: JsonObject, lost: LinkLost) -> JsonObject:
        """What became of a start whose monitor died under it: running (or already over) in the replacement, or not begun."""
        await self._until(lambda: True if self._is_settled() else None, "the monitor")
        peer = self._holder(container_id)
        if peer is None or not peer.states[container_id]["pid"]:
            if "spec" in arguments:
                await self.forget(container_id, arguments["spec"]["state_root"])
            raise lost
        state = peer.states[container_id]
        if state["status"] == "exited":
            self._emit(_exited(state))
        return {"pid": state["pid"], "started_at": state["started_at"], "state": state}

    # News from the other ends

    def _note(self, name: str, message: JsonObject) -> None:
        peer = self._peers[name]
        if "containers" in message:  # the answer to hello; what comes behind it is newer
            self._adopt(peer, {state["id"]: state for state in message["containers"]})
        state: ContainerState | None = message.get("state")
        if state is not None:
            peer.states[state["id"]] = state

    def _emit(self, event: Event) -> None:
        # Behind the wake-up of whoever awaits an answer that came in just before: a start returns before its Exited is heard.
        asyncio.get_running_loop().call_soon(self._on_event, event)

    def _announce(self) -> None:
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        news.set_result(None)

    def _monitor_event(self, name: str, message: JsonObject) -> None:
        self._note(name, message)
        event = _event(message)
        if event is not None:
            self._emit(event)

    def _monitor_lost(self, name: str) -> None:
        peer = self._peers[name]
        if not peer.retiring:
            self._emit(MonitorLost(tuple(peer.states)))
        self._wake.set()

    def _launcher_lost(self) -> None:
        self._emit(LauncherLost())
        self._wake.set()

    # Making it so

    async def _supervise(self) -> None:
        pause = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with asyncio.timeout(REPAIR_SECONDS):
                    await self._converge()
                pause = 0.0
            except (EngineError, OSError, TimeoutError):
                # The next round sees what changed meanwhile; a launcher that cannot start must not spin.
                pause = min(1.0, pause * 2 + 0.01)
                self._wake.set()
            self._announce()
            await asyncio.sleep(pause)

    async def _converge(self) -> None:
        launcher = await self._reach_launcher()
        listing = await launcher.request("monitors", {})
        names: list[str] = listing["names"]
        for name in [n for n in self._peers if n not in names]:
            self._drop(name)
        for name in names:
            await self._reach_monitor(name)
        wanted = SPARE_PLACES if not self._crowded else self._free_places() + 1
        self._crowded = False
        if self._free_places() < wanted:
            answer = await launcher.request("spawn", {})
            await self._reach_monitor(answer["name"])

    async def _reach_launcher(self) -> Link:
        known = self._find_launcher()
        if known is not None:
            return known
        path = f"{self._root}/launcher.sock"
        open_link = partial(Link, path, on_event=lambda _: self._wake.set(), on_lost=self._launcher_lost, on_answer=lambda _: None)
        try:
            self._launcher = open_link()
        except (FileNotFoundError, ConnectionRefusedError):
            await start_launcher(self._command, self._root)
            self._launcher = open_link()
        return self._launcher

    async def _reach_monitor(self, name: str) -> None:
        peer = self._peers.get(name)
        if peer is not None and peer.is_ready:
            return
        lost = partial(self._monitor_lost, name)
        noted, heard = partial(self._note, name), partial(self._monitor_event, name)
        link = Link(f"{self._root}/monitors/{name}.sock", on_event=heard, on_lost=lost, on_answer=noted)
        before = {} if peer is None else peer.states
        peer = self._peers[name] = Peer(name, link)
        peer.states = before
        async with asyncio.timeout(_ANSWER_SECONDS):
            await link.request("hello", {})

    def _adopt(self, peer: Peer, states: dict[str, ContainerState]) -> None:
        """Take a monitor's word for its containers; tell of those that ended while it could not be heard."""
        before, peer.states = peer.states, states
        peer.greeted = True
        for name, old in before.items():
            state = states.get(name)
            if state is None:
                self._emit_gone(name, old)
                continue
            if old["status"] == "running" and state["status"] == "exited" and name not in self._starting:
                self._emit(_exited(state))
            for exec_id, execution in old["execs"].items():
                now = state["execs"].get(exec_id)
                if execution["exit_code"] is None and (now is None or now["exit_code"] is not None):
                    code = UNKNOWN_EXIT if now is None or now["exit_code"] is None else now["exit_code"]
                    self._emit(Exited(name, exec_id, code, time.time_ns(), False))

    def _drop(self, name: str) -> None:
        """A monitor that nobody replaces: it retired, or launcher and monitor died together."""
        peer = self._peers.pop(name)
        peer.link.close()
        for container_id, state in peer.states.items():
            self._emit_gone(container_id, state)

    def _emit_gone(self, container_id: str, state: ContainerState) -> None:
        if state["status"] == "running":
            self._emit(Exited(container_id, None, UNKNOWN_EXIT, time.time_ns(), False))

    async def _retire_spare(self) -> None:
        """Let an empty monitor go while another is empty too and room stays plenty."""
        empty = [p for p in self._peers.values() if not p.states and p.room and not p.link.in_flight]
        if len(empty) < 2 or self._free_places() - MONITOR_CAPACITY < SPARE_PLACES:
            return
        peer = empty[0]
        peer.retiring = True
        try:
            await peer.link.request("retire", {})
        except LinkLost:
            pass
        except Conflict:
            peer.retiring = False


async def start_launcher(command: Sequence[str], exec_root: str) -> None:
    """Start a launcher that outlives this process; returns when it listens. Unavailable with its last words when it does not."""
    pipes = asyncio.subprocess
    process = await asyncio.create_subprocess_exec(*command, exec_root, stdin=pipes.DEVNULL, stdout=pipes.DEVNULL, stderr=pipes.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        raise Unavailable(f"the launcher does not start: {said.decode(errors='replace').strip()[-2000:]}", reason="launcher-start")


def _live(state: ContainerState) -> LiveContainer:
    over = state["exit"]
    return LiveContainer(
        pid=state["pid"],
        status=state["status"],
        paused=state["paused"],
        exit_code=None if over is None else over["exit_code"],
        started_at=state["started_at"],
        finished_at=0 if over is None else over["finished_at"],
        oom_killed=over is not None and over["oom_killed"],
        execs={name: LiveExec(e["pid"], e["exit_code"]) for name, e in state["execs"].items()},
    )


def _exited(state: ContainerState) -> Exited:
    over = state["exit"]
    assert over is not None
    return Exited(state["id"], None, over["exit_code"], over["finished_at"], over["oom_killed"])


def _event(message: dict[str, Any]) -> Event | None:
    """The daemon's value for a monitor's event; None for one that this version does not know."""
    match message["event"]:
        case "exited":
            over = message["exit"]
            return Exited(message["id"], message["exec_id"], over["exit_code"], over["finished_at"], over["oom_killed"])
        case "detached":
            return Detached(message["id"], message["exec_id"])
        case "log-failed":
            return LogFailed(message["id"], message["message"])
        case "oom":
            return OomKilled(message["id"])
    return None
