"""The executor of RUN steps: containers with the usual spec, network and monitor, but without a name, a row or a log."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from corten.build.options import BindMount, RunJob
from corten.engine.containers.create.checks import check_resources
from corten.engine.containers.run.resources import RunResources
from corten.engine.devices.loader import all_folders
from corten.engine.devices.registry import CdiRegistry
from corten.engine.devices.requests import CDI
from corten.engine.host import HostFacts
from corten.engine.values.container import (
    Container,
    ContainerConfig,
    DeviceRequest,
    Endpoint,
    EndpointConfig,
    HostConfig,
    MountPoint,
    Resources,
    Ulimit,
)
from corten.errors import EngineError, NotFound
from corten.http.frames import FrameDecoder
from corten.ids import ContainerId, ImageId, NetworkId
from corten.monitor.events import Exited
from corten.monitor.values import AttachOptions, StdioSpec

HOSTNAME = "buildkitsandbox"
_STDIO: StdioSpec = {"tty": False, "open_stdin": False, "stdin_once": False, "log": None}
_LISTEN: AttachOptions = {
    "stdin": False,
    "stdout": True,
    "stderr": True,
    "stream": True,
    "logs": False,
    "framed": True,
    "detach_keys": "",
}
_STREAMS = {1: "stdout", 2: "stderr"}
_READ = 1 << 16
SIGKILL = 9


class BuildDevices:
    """`corten.build.options.DeviceList` on the registry of containers."""

    def __init__(self, registry: CdiRegistry) -> None:
        self._registry = registry

    def known(self) -> Mapping[str, Mapping[str, str]]:
        return {name: device.annotations for name, device in self._registry.look().devices.items()}

    def targets(self, names: Sequence[str]) -> list[str]:
        edits, _ = self._registry.edits(names)
        libraries = [f"{folder}/{library.name}" for folder in all_folders() for library in edits.libraries]
        return [*(mount.container_path for mount in edits.mounts), *(node.path for node in edits.device_nodes), *libraries]


class BuildExecutor:
    """`corten.build.options.Executor` on the engine's own runtime."""

    def __init__(self, resources: RunResources, facts: HostFacts, devices: CdiRegistry) -> None:
        self._resources = resources
        self._facts = facts
        self.devices = BuildDevices(devices)
        self._waiting: dict[str, asyncio.Future[int]] = {}

    def ended(self, event: Exited) -> bool:
        """An exit of one of our processes: True; otherwise it is somebody else's."""
        waiting = self._waiting.get(event.container_id)
        if waiting is None:
            return False
        if not waiting.done():
            waiting.set_result(event.exit_code)
        return True

    async def run(self, job: RunJob, output: Callable[[str, bytes], None]) -> int:
        container = _container(job)
        check_resources(container.host.resources, self._facts)
        self._waiting[container.id] = asyncio.get_running_loop().create_future()
        os.makedirs(self._resources.paths.container(container.id), mode=0o710, exist_ok=True)
        try:
            async with self._running(container) as stream:
                await _copy_output(stream, output)
                return await self._waiting[container.id]
        finally:
            del self._waiting[container.id]
            await asyncio.shield(self._resources.release(container))
            folder = self._resources.paths.container(container.id)
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)

    @asynccontextmanager
    async def _running(self, container: Container) -> AsyncIterator[asyncio.StreamReader]:
        """The process' output while it runs; leaving early kills it."""
        monitors = self._resources.monitors
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                place = await self._resources.networks.attach(container)
                start = self._resources.bundles.write(container, place)
                await monitors.prepare(container.id, _STDIO)
                await monitors.attach(container.id, _LISTEN, theirs.fileno())
                await monitors.start(container.id, start, _STDIO)
        except BaseException:
            ours.close()
            raise
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            yield reader
        finally:
            writer.close()
            if not self._waiting[container.id].done():
                with suppress(NotFound, EngineError):
                    await monitors.of(container.id).kill(SIGKILL, all=True)
                    async with asyncio.timeout(10):
                        await asyncio.shield(self._waiting[container.id])


async def _copy_output(stream: asyncio.StreamReader, output: Callable[[str, bytes], None]) -> None:
    frames = FrameDecoder()
    while data := await stream.read(_READ):
        for number, payload in frames.feed(data):
            output(_STREAMS.get(number, "stdout"), payload)


def _container(job: RunJob) -> Container:
    """The step as a container value; its id is its snapshot's key."""
    network = "bridge" if job.network in ("", "default") else job.network
    return Container(
        id=ContainerId(job.snapshot),
        name=f"build-{job.snapshot[:12]}",
        created=time.time_ns(),
        image_id=ImageId(""),
        image_ref="",
        path=job.argv[0],
        args=job.argv[1:],
        config=ContainerConfig(hostname=job.hostname or HOSTNAME, env=job.env, working_dir=job.cwd, user=job.user, cmd=job.argv),
        host=HostConfig(
            network_mode=network,
            extra_hosts=job.extra_hosts,
            shm_size=job.shm_size or 64 << 20,
            privileged=job.privileged,
            auto_remove=True,
            tmpfs=dict(job.tmpfs),
            resources=_resources(job),
        ),
        mounts=tuple(_point(m) for m in job.mounts),
        endpoints={network: Endpoint(config=EndpointConfig(network=network), network_id=NetworkId(""))},
    )


def _resources(job: RunJob) -> Resources:
    limits = job.limits
    return Resources(
        memory=limits.memory,
        memory_swap=limits.memory_swap or 2 * limits.memory,
        cpu_shares=limits.cpu_shares,
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        cgroup_parent=limits.cgroup_parent,
        device_requests=(DeviceRequest(driver=CDI, device_ids=job.devices),) if job.devices else (),
        ulimits=tuple(Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in job.ulimits),
    )


def _point(bind: BindMount) -> MountPoint:
    return MountPoint(type="bind", source=bind.source, destination=bind.target, rw=not bind.read_only, propagation="rprivate")
