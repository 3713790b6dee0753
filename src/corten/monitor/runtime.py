"""The OCI runtime as a monitor uses it: a protocol, and the built-in one behind it, called in the monitor's own process."""

import json
import os
from typing import Any, Protocol

from corten.errors import NotFound, Unsupported
from corten.kernel.cgroup import Cgroup, detect
from corten.monitor.values import JsonObject, StartSpec
from corten.runtime import control
from corten.runtime.runtime import Runtime as OciRuntime
from corten.runtime.values import CreateOptions, Process, Stdio


class Created(Protocol):
    """A container whose process waits to be started; its descriptors are the caller's once `start` has succeeded."""

    pid: int
    pidfd: int
    console_fd: int | None

    def start(self) -> None:
        """Returns when the user's program runs; on an error everything is taken back, descriptors closed."""

    def abandon(self) -> None:
        """As after a failed start."""


class Runtime(Protocol):
    """One container's life and figures. All errors are EngineErrors or OSErrors."""

    def create(self, container_id: str, start: StartSpec, io: Stdio) -> Created: ...

    def execute(self, container_id: str, state_root: str, process: JsonObject, io: Stdio) -> Process: ...

    def kill_all(self, container_id: str, state_root: str, signal: int) -> None: ...

    def pause(self, container_id: str, state_root: str) -> None:
        """Waits until all stand still."""

    def resume(self, container_id: str, state_root: str) -> None: ...

    def update(self, container_id: str, state_root: str, resources: JsonObject) -> None: ...

    def pids(self, container_id: str, state_root: str) -> list[int]: ...

    def stats(self, container_id: str, state_root: str) -> JsonObject: ...

    def oom_kills(self, container_id: str, state_root: str) -> int: ...

    def delete(self, container_id: str, state_root: str) -> None:
        """Kill what is left, remove cgroup and state; waits some 40 ms. Idempotent."""


class BuiltinRuntime:
    """`corten.runtime` in this process. Made once, in the launcher: its forks find it warm."""

    def __init__(self) -> None:
        self._hierarchies = detect()
        self._runtimes: dict[str, OciRuntime] = {}

    def warm(self, config_path: str, state_root: str) -> None:
        """Do ahead what starting a container with such a config.json would have to do first."""
        self._runtime(state_root).warm(_load(config_path))

    def create(self, container_id: str, start: StartSpec, io: Stdio) -> Created:
        spec = _load(os.path.join(start["bundle"], "config.json"))
        options = CreateOptions(root_mounts=tuple(start["root_mounts"]))
        return self._runtime(start["state_root"]).create(container_id, spec, bundle=start["bundle"], io=io, options=options)

    def execute(self, container_id: str, state_root: str, process: JsonObject, io: Stdio) -> Process:
        runtime = self._runtime(state_root)
        return runtime.execute(runtime.load(container_id), process, io)

    def kill_all(self, container_id: str, state_root: str, signal: int) -> None:
        runtime = self._runtime(state_root)
        runtime.kill(runtime.load(container_id), signal, everyone=True)

    def pause(self, container_id: str, state_root: str) -> None:
        self._cgroup(container_id, state_root).freeze()

    def resume(self, container_id: str, state_root: str) -> None:
        self._cgroup(container_id, state_root).thaw()

    def update(self, container_id: str, state_root: str, resources: JsonObject) -> None:
        control.update(self._cgroup(container_id, state_root), resources)

    def pids(self, container_id: str, state_root: str) -> list[int]:
        return self._cgroup(container_id, state_root).pids()

    def stats(self, container_id: str, state_root: str) -> JsonObject:
        return {**self._cgroup(container_id, state_root).stats()}

    def oom_kills(self, container_id: str, state_root: str) -> int:
        return self._cgroup(container_id, state_root).oom_kills()

    def delete(self, container_id: str, state_root: str) -> None:
        runtime = self._runtime(state_root)
        try:
            state = runtime.load(container_id)
        except NotFound:
            return
        runtime.delete(state, force=True)

    def _cgroup(self, container_id: str, state_root: str) -> Cgroup:
        runtime = self._runtime(state_root)
        cgroup = runtime.cgroup(runtime.load(container_id))
        if cgroup is None:
            raise Unsupported(f"container {container_id} has no cgroup", reason="no-cgroup", hint="give it a linux.cgroupsPath")
        return cgroup

    def _runtime(self, state_root: str) -> OciRuntime:
        runtime = self._runtimes.get(state_root)
        if runtime is None:
            runtime = self._runtimes[state_root] = OciRuntime(state_root, hierarchies=self._hierarchies)
        return runtime


def _load(path: str) -> dict[str, Any]:
    with open(path, "rb") as f:
        spec: dict[str, Any] = json.loads(f.read())
    return spec
