"""The engine over a real store, with processes and networks that only pretend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from corten.config import Config
from corten.daemon.compose import MIGRATIONS, Composition, Engine
from corten.daemon.networks import make_networks
from corten.daemon.program import MonitorEvents
from corten.engine.containers.create.creation import CreateRequest
from corten.engine.containers.protocols import NetworkAttachment
from corten.engine.events import Events
from corten.engine.host import HostFacts
from corten.engine.space import SpaceReclaimer
from corten.engine.spec.placement import Machine
from corten.engine.tasks import Tasks
from corten.engine.values.container import Container, ContainerConfig, Endpoint, HostConfig
from corten.engine.values.links import Link
from corten.errors import Conflict, EngineError, NotFound
from corten.gcpolicy import GcPolicy
from corten.ids import ContainerId, NetworkId
from corten.kernel.probe import KernelFeatures
from corten.monitor.events import Event, Exited, LiveContainer, LiveExec, Started
from corten.monitor.values import AttachOptions, JsonObject, LogOptions, StartSpec, StdioSpec
from corten.oci.image import ImageConfig, RunConfig, encode_image_config
from corten.oci.reference import parse_reference
from corten.store.opened import Store, open_store

PIDS_FROM = 1000
NO_TRASH = GcPolicy(trash=0)
_ANSWERS = {str: "6.18", int: 2, bool: True}
FEATURES = KernelFeatures(*(_ANSWERS.get(kind, frozenset()) for kind in KernelFeatures.__annotations__.values()))  # type: ignore[arg-type]
"""A kernel that can do everything it is asked about by yes or no."""


@dataclass
class FakeProcess:
    """One container at the monitor."""

    owner: "FakeMonitors"
    container_id: str
    live: LiveContainer = field(default_factory=lambda: LiveContainer(0, "prepared", False, None, 0, 0, False))
    signals: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int, str | None]] = field(default_factory=list)
    resources: JsonObject = field(default_factory=dict)
    deaf: bool = False

    def need_running(self) -> None:
        self.owner.need(self.container_id)
        if self.live.status != "running":
            raise Conflict("not running")

    async def resize(self, height: int, width: int, *, exec_id: str | None = None) -> None:
        self.sizes.append((height, width, exec_id))

    async def kill(self, signal: int, *, all: bool = False) -> None:
        self.need_running()
        self.signals.append(signal)
        if signal == 9 or (signal == 15 and not self.deaf and not self.live.paused):
            self.owner.exit(self.container_id, 128 + signal)

    async def kill_exec(self, exec_id: str, signal: int) -> None:
        """Ends it at once."""
        self.need_running()
        if exec_id not in self.live.execs or self.live.execs[exec_id].exit_code is not None:
            raise NotFound(f"exec {exec_id} is not running")
        self.owner.exec_exit(self.container_id, exec_id, 128 + signal)

    async def pause(self) -> None:
        self.live = replace(self.live, paused=True)

    async def resume(self) -> None:
        self.live = replace(self.live, paused=False)

    async def update(self, resources: JsonObject) -> None:
        self.resources = resources

    async def pids(self) -> list[int]:
        return [self.live.pid]

    async def stats(self) -> JsonObject:
        return {}


class FakeMonitors:
    """`fails`: raised by the next starts. `instant`: exit code of processes that end at once."""

    def __init__(self) -> None:
        self.tell: Callable[[Event], None] = MonitorEvents().receive
        self.processes: dict[str, FakeProcess] = {}
        self.fails: EngineError | None = None
        self.instant: int | None = None
        self.started: list[tuple[str, StartSpec, StdioSpec]] = []
        self.attached: list[tuple[str, AttachOptions]] = []
        self.forgotten: list[str] = []
        self.time = 0

    def tick(self) -> int:
        self.time += 1_000_000
        return self.time

    def live(self) -> dict[str, LiveContainer]:
        return {key: process.live for key, process in self.processes.items()}

    def of(self, container_id: str) -> FakeProcess:
        """A handle, also of what is not live: only its methods refuse."""
        return self.processes.get(container_id) or FakeProcess(self, container_id)

    def need(self, container_id: str) -> FakeProcess:
        if container_id not in self.processes:
            raise NotFound(f"{container_id} is not live")
        return self.processes[container_id]

    async def prepare(self, container_id: str, stdio: StdioSpec) -> None:
        self.processes.setdefault(container_id, FakeProcess(self, container_id))

    async def start(self, container_id: str, spec: StartSpec, stdio: StdioSpec) -> Started:
        self.started.append((container_id, spec, stdio))
        if self.fails:
            raise self.fails
        await self.prepare(container_id, stdio)
        if self.processes[container_id].live.status == "running":
            raise Conflict("running")
        process = self.processes[container_id]
        started = Started(PIDS_FROM + len(self.started), self.tick())
        process.live = LiveContainer(started.pid, "running", False, None, started.started_at, 0, False)
        if self.instant is not None:
            self.exit(container_id, self.instant)
        return started

    def exit(self, container_id: str, code: int, *, oom_killed: bool = False) -> None:
        process = self.processes[container_id]
        moment = self.tick()
        process.live = replace(process.live, status="exited", exit_code=code, finished_at=moment, oom_killed=oom_killed)
        self.tell(Exited(container_id, None, code, moment, oom_killed))

    async def attach(self, container_id: str, options: AttachOptions, sock_fd: int, initial: bytes = b"") -> None:
        self.need(container_id)
        self.attached.append((container_id, options))

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
        if self.fails:
            raise self.fails
        owner = self.need(container_id)
        owner.need_running()
        owner.live.execs[exec_id] = LiveExec(77, None)
        return 77

    def exec_exit(self, container_id: str, exec_id: str, code: int) -> None:
        self.of(container_id).live.execs[exec_id] = LiveExec(77, code)
        self.tell(Exited(container_id, exec_id, code, self.tick(), False))

    async def logs(self, container_id: str, options: LogOptions, sock_fd: int) -> None:
        self.attached.append((container_id, {"stdin": False, "stdout": options["stdout"], "stderr": options["stderr"]}))  # type: ignore[typeddict-item]

    async def forget(self, container_id: str, state_root: str) -> None:
        process = self.processes.get(container_id)
        if process is not None and process.live.status == "running":
            raise Conflict("running")
        self.processes.pop(container_id, None)
        self.forgotten.append(container_id)


class FakeNetworks:
    def __init__(self) -> None:
        self.attached: set[ContainerId] = set()

    def check(self, container: Container) -> None:
        pass

    async def renamed(self, container: Container) -> None:
        pass

    async def unlinked(self, container: Container, link: Link) -> None:
        pass

    async def attach(self, container: Container) -> NetworkAttachment:
        self.attached.add(container.id)
        endpoints = {
            name: Endpoint(config=e.config, network_id=NetworkId("n"), endpoint_id="e", ip_address="10.0.0.2")
            for name, e in container.endpoints.items()
        }
        return NetworkAttachment(
            netns="/proc/1/fd/9", endpoints=endpoints, hosts="127.0.0.1 localhost\n", resolv_conf="nameserver 1.1.1.1\n"
        )

    async def detach(self, container: Container) -> None:
        self.attached.discard(container.id)


@dataclass
class World:
    engine: Engine
    monitors: FakeMonitors
    networks: FakeNetworks
    tasks: Tasks
    events: Events
    store: Store
    path: Path

    async def create(self, name: str = "web", *, host: HostConfig | None = None, **config: object) -> ContainerId:
        given = ContainerConfig(**{"image": "busybox", "cmd": ("sh",), **config})  # type: ignore[arg-type]
        request = CreateRequest(config=given, host=host or HostConfig(network_mode="none"), name=name)
        return (await self.engine.services.creation.create(request)).id

    async def run(self, name: str = "web", *, host: HostConfig | None = None, **config: object) -> ContainerId:
        container_id = await self.create(name, host=host, **config)
        await self.engine.services.lifecycle.start(container_id)
        return container_id

    def get(self, ref: str) -> Container:
        return self.engine.services.containers.get(ref)

    def actions(self) -> list[str]:
        return [event.action for event in self.events.past(0, None, {"type": ["container"]})]


@asynccontextmanager
async def world(
    path: Path, monitors: FakeMonitors | None = None, networks: FakeNetworks | None = None, *, gc: GcPolicy = NO_TRASH
) -> AsyncIterator[World]:
    """A second one on the same `path` and monitors is the daemon started again."""
    monitors, networks = monitors or FakeMonitors(), networks or FakeNetworks()
    config = Config(data_root=str(path / "data"), exec_root=str(path / "run"), gc=gc)
    space = SpaceReclaimer(asyncio.get_running_loop())
    opened = open_store(config.data_root, MIGRATIONS, trash_keep=gc.trash * 10**9, reclaim=space.reclaim_blocking)
    with closing(opened) as store:
        add_busybox(store)
        async with Tasks() as tasks:
            events, received = Events(), MonitorEvents()
            composition = Composition(
                config=config,
                store=store,
                facts=HostFacts(cpus=2, online_cpus="0-1"),
                features=FEATURES,
                machine=Machine(),
                monitors=monitors,
                networks=networks,
                known_networks=make_networks(store.db, config, events),
            )
            engine = composition.compose(tasks, events, space)
            monitors.tell = received.receive
            engine.reconcile.adopt()
            await engine.reconcile.settle()
            received.hand_to(engine, tasks)
            engine.health.adopt()
            yield World(engine, monitors, networks, tasks, events, store, path)
            await tasks.settled()
            monitors.tell = MonitorEvents().receive


def add_busybox(store: Store) -> None:
    image = ImageConfig(architecture="amd64", os="linux", config=RunConfig(env=["PATH=/bin"], labels={"from": "image"}))
    raw = msgspec.json.encode(msgspec.json.decode(encode_image_config(image)) | {"rootfs": {"type": "layers", "diff_ids": []}})
    store.images.tag(parse_reference("busybox"), store.images.add(raw))


__all__ = ["Event", "FakeMonitors", "FakeNetworks", "World", "world"]
