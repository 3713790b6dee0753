"""One suite of what the engine expects of processes, for the monitors and for the unit tests' fake of them."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from corten.engine.containers.protocols import MonitorClient
from corten.errors import Conflict, NotFound
from corten.monitor.events import Event, Exited
from corten.monitor.values import AttachOptions, JsonObject, StartSpec, StdioSpec
from tests.integration.monitor.world import World
from tests.unit.engine.world import FakeMonitors

DETACHED: AttachOptions = {
    "stdin": False,
    "stdout": False,
    "stderr": False,
    "stream": True,
    "logs": False,
    "framed": True,
    "detach_keys": "",
}


class Stage(Protocol):
    """Where the suite plays: processes and what starts need."""

    @property
    def processes(self) -> MonitorClient: ...
    @property
    def events(self) -> list[Event]: ...
    def spec(self, container_id: str, *args: str) -> tuple[StartSpec, StdioSpec]: ...
    def process(self, *args: str) -> JsonObject: ...
    def end_exec(self, container_id: str, exec_id: str) -> None: ...
    @property
    def state_root(self) -> str: ...


@dataclass
class FakeStage:
    processes: FakeMonitors = field(default_factory=FakeMonitors)
    events: list[Event] = field(default_factory=list)
    state_root: str = ""

    def __post_init__(self) -> None:
        self.processes.tell = self.events.append

    def spec(self, container_id: str, *args: str) -> tuple[StartSpec, StdioSpec]:
        spec: StartSpec = {"bundle": "", "state_root": "", "root_mounts": []}
        return spec, {"tty": False, "open_stdin": False, "stdin_once": False, "log": None}

    def process(self, *args: str) -> JsonObject:
        return {"args": list(args)}

    def end_exec(self, container_id: str, exec_id: str) -> None:
        self.processes.exec_exit(container_id, exec_id, 0)


@dataclass
class RealStage:
    world: World

    @property
    def processes(self) -> MonitorClient:
        return self.world.monitors

    @property
    def events(self) -> list[Event]:
        return self.world.events

    @property
    def state_root(self) -> str:
        return self.world.state_root

    def spec(self, container_id: str, *args: str) -> tuple[StartSpec, StdioSpec]:
        return self.world.spec(container_id, *args), self.world.stdio(container_id)

    def process(self, *args: str) -> JsonObject:
        return self.world.process(*args)

    def end_exec(self, container_id: str, exec_id: str) -> None:
        """It ends by itself."""


@pytest.fixture(params=["fake", "plain", pytest.param("real", marks=pytest.mark.privileged)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "fake":
        yield FakeStage()
        return
    world = World(real=request.param == "real")
    await world.connect()
    yield RealStage(world)
    await world.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def started(stage: Stage, *args: str) -> str:
    container_id = secrets.token_hex(32)
    await stage.processes.start(container_id, *stage.spec(container_id, *(args or ("sleep", "1000"))))
    return container_id


async def test_a_life(stage: Stage) -> None:
    container_id = secrets.token_hex(32)
    answer = await stage.processes.start(container_id, *stage.spec(container_id, "sleep", "1000"))
    live = stage.processes.live()[container_id]
    assert (live.status, live.pid, live.started_at, live.exit_code) == ("running", answer.pid, answer.started_at, None)
    await stage.processes.of(container_id).kill(signal.SIGKILL)
    await until(lambda: any(isinstance(e, Exited) for e in stage.events))
    (ended,) = (e for e in stage.events if isinstance(e, Exited))
    assert (ended.container_id, ended.exec_id, ended.exit_code) == (container_id, None, 137)
    assert ended.finished_at > answer.started_at
    live = stage.processes.live()[container_id]
    assert (live.status, live.exit_code) == ("exited", 137)
    await stage.processes.forget(container_id, stage.state_root)
    assert container_id not in stage.processes.live()


async def test_prepared_first(stage: Stage) -> None:
    container_id = secrets.token_hex(32)
    spec, stdio = stage.spec(container_id, "sleep", "1000")
    await stage.processes.prepare(container_id, stdio)
    await stage.processes.prepare(container_id, stdio)
    assert stage.processes.live()[container_id].status == "prepared"
    await stage.processes.start(container_id, spec, stdio)
    assert stage.processes.live()[container_id].status == "running"


async def test_prepared_and_given_up(stage: Stage) -> None:
    container_id = secrets.token_hex(32)
    await stage.processes.prepare(container_id, stage.spec(container_id, "true")[1])
    await stage.processes.forget(container_id, stage.state_root)
    assert container_id not in stage.processes.live()


async def test_what_is_refused(stage: Stage) -> None:
    container_id = await started(stage)
    with pytest.raises(Conflict):
        await stage.processes.start(container_id, *stage.spec(container_id, "true"))
    with pytest.raises(Conflict):
        await stage.processes.forget(container_id, stage.state_root)
    await stage.processes.forget("0" * 64, stage.state_root)
    with pytest.raises(NotFound):
        await stage.processes.of("0" * 64).kill(signal.SIGTERM)


async def test_what_is_over_takes_no_signal_and_no_exec(stage: Stage) -> None:
    container_id = await started(stage)
    await stage.processes.of(container_id).kill(signal.SIGKILL)
    await until(lambda: stage.processes.live()[container_id].status == "exited")
    with pytest.raises(Conflict):
        await stage.processes.of(container_id).kill(signal.SIGTERM)
    with pytest.raises(Conflict):
        await stage.processes.exec_start(container_id, "e" * 64, stage.process("true"), options=DETACHED)


async def test_an_exec(stage: Stage) -> None:
    container_id, exec_id = await started(stage), "e" * 64
    assert await stage.processes.exec_start(container_id, exec_id, stage.process("true"), options=DETACHED) > 0
    stage.end_exec(container_id, exec_id)
    await until(lambda: bool(stage.events))
    (ended,) = stage.events
    assert isinstance(ended, Exited)
    assert (ended.container_id, ended.exec_id, ended.exit_code) == (container_id, exec_id, 0)
    assert stage.processes.live()[container_id].execs[exec_id].exit_code == 0
