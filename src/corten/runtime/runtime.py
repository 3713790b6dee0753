"""The runtime as a library: one object per state directory, used by one single-threaded process.

A container is made in two steps, as OCI has it: `create` builds everything and leaves the first process waiting, `Created.start`
lets it exec. The caller is the parent of all processes made here and reaps them.
"""

import os
from typing import Any

from corten.errors import Conflict, Unsupported
from corten.kernel.cgroup import Cgroup, Hierarchies, detect, open_cgroup
from corten.runtime import control
from corten.runtime.config.plan import InitPlan, make_plan
from corten.runtime.config.spec import check_spec
from corten.runtime.create import Created, Creation, start_by_socket
from corten.runtime.execute import ExecPlan, execute_process
from corten.runtime.filters import FilterCache
from corten.runtime.state import (
    SOCKET_NAME,
    ContainerState,
    Status,
    list_ids,
    load_state,
    make_state_directory,
    remove_state,
    save_state,
    state_directory,
)
from corten.runtime.values import CreateOptions, Process, ProcessSpec, SeccompFilter, Spec, Stdio

_NOTHING: dict[str, Any] = {}
_FILTER_NAME = "seccomp.bpf"


class Runtime:
    """Containers under `state_root` (made when missing, 0700). `manager` is cgroupfs or systemd."""

    def __init__(self, state_root: str, *, manager: str = "cgroupfs", hierarchies: Hierarchies | None = None) -> None:
        self.state_root = state_root
        self._manager = manager
        self._hierarchies = hierarchies or detect()
        self._filters = FilterCache()

    def warm(self, spec: Spec) -> None:
        """Do ahead what a start of such a container would have to do first (the seccomp filter), for forks of this process to have."""
        self._filters.get((spec.get("linux") or _NOTHING).get("seccomp"))

    def create(self, container_id: str, spec: Spec, *, bundle: str, io: Stdio, options: CreateOptions | None = None) -> Created:
        """Make the container of `spec` (config.json, already parsed) whose bundle directory is `bundle`.

        Returns when its process waits for `start`. On any error everything is taken back and the error raised: Conflict
        "container-exists", Invalid or Unsupported for the config, reason "exec-not-found", "exec-permission" or "bad-cwd" for the
        program, "mount-failed", "namespace-failed", "cgroup-failed", "hook-failed" for the machine.
        """
        check_spec(spec)
        linux = spec.get("linux") or _NOTHING
        filter_ = self._filters.get(linux.get("seccomp"))
        plan = make_plan(spec, os.path.abspath(bundle), filter_, options or CreateOptions())
        directory = make_state_directory(self.state_root, container_id)
        try:
            state = self._new_state(container_id, spec, plan)
            creation = Creation(state, plan, io, cgroup=self.cgroup(state), hierarchies=self._hierarchies)
        except BaseException:
            remove_state(self.state_root, container_id)
            raise
        creation.on_failure(remove_state, self.state_root, container_id)
        self._save_filter(directory, filter_)
        return creation.run(lambda ready: save_state(self.state_root, ready), os.path.join(directory, SOCKET_NAME))

    def start(self, state: ContainerState) -> list[str]:
        """Start a container that another process created with `wait_on_socket`; returns warnings. Conflict when it does not wait.

        When its program cannot be executed its process ends and the error is raised; the container is then stopped, not removed.
        """
        if self.status(state) == "paused":  # it would not answer
            raise Conflict("cannot start a container in the paused state", reason="paused", hint="resume it first")
        return start_by_socket(state, os.path.join(state_directory(self.state_root, state["id"]), SOCKET_NAME))

    def execute(self, state: ContainerState, process: ProcessSpec, io: Stdio) -> Process:
        """Run a further process in a running container and return once its program runs.

        What `process` does not say (capabilities, user, env, ...) is not inherited; the container's own are in `state["process"]`.
        Conflict "not-running"; reason "exec-not-found", "exec-permission", "bad-cwd" for the program.
        """
        cgroup = self.cgroup(state)
        entry = cgroup.entry_fds() if cgroup is not None else []
        try:
            return execute_process(state, ExecPlan(process, io, self._stored_filter(state), self._hierarchies.version, entry))
        finally:
            for fd in entry:
                os.close(fd)

    def load(self, container_id: str) -> ContainerState:
        """NotFound "no-such-container"."""
        return load_state(self.state_root, container_id)

    def list(self) -> list[str]:
        return list_ids(self.state_root)

    def status(self, state: ContainerState) -> Status:
        return control.status_of(state, self.state_root, self.cgroup(state))

    def cgroup(self, state: ContainerState) -> Cgroup | None:
        """Its place in the control groups, with stats, freezing and pids; None for a container without."""
        if not state["cgroup"]:
            return None
        try:
            return open_cgroup(state["manager"], state["cgroup"], self._hierarchies)
        except ValueError as e:
            raise Unsupported(
                f"linux.cgroupsPath {state['cgroup']!r}: {e}", reason="bad-cgroup", hint="use --cgroup-manager cgroupfs"
            ) from e

    def kill(self, state: ContainerState, sig: int, *, everyone: bool = False) -> None:
        """Signal the first process, or `everyone` in the container's cgroup. Conflict "not-running"."""
        control.kill(state, sig, cgroup=self.cgroup(state) if everyone else None)

    def update(self, state: ContainerState, resources: dict[str, Any]) -> None:
        """Change limits (linux.resources); what is left out stays. Invalid for values that the kernel refuses."""
        cgroup = self.cgroup(state)
        if cgroup is None:
            raise Conflict("the container has no cgroup of its own", reason="no-cgroup")
        control.update(cgroup, resources)

    def delete(self, state: ContainerState, *, force: bool = False) -> None:
        """Remove cgroup and state directory; waits for the cgroup to empty (20-40 ms), so call it behind an answer. Idempotent.

        Conflict "not-stopped" for a live container unless `force`, which kills it first.
        """
        control.delete(state, self.state_root, self.cgroup(state), force=force)

    def _new_state(self, container_id: str, spec: Spec, plan: InitPlan) -> ContainerState:
        linux = spec.get("linux") or _NOTHING
        hooks = spec.get("hooks") or _NOTHING
        return {
            "id": container_id,
            "pid": 0,
            "pid_start": 0,
            "bundle": plan.bundle,
            "rootfs": plan.rootfs,
            "created": 0,
            "annotations": spec.get("annotations") or {},
            "manager": self._manager,
            "cgroup": linux.get("cgroupsPath") or (f"system.slice:corten:{container_id}" if self._manager == "systemd" else container_id),
            "namespaces": {entry["type"]: entry.get("path") or "" for entry in linux.get("namespaces") or []},
            "process": {key: value for key, value in spec["process"].items() if key != "args"},
            "hooks": {kind: hooks[kind] for kind in ("poststart", "poststop") if hooks.get(kind)},
            "seccomp": None if plan.seccomp is None else list(plan.seccomp[1:]),
        }

    def _save_filter(self, directory: str, filter_: SeccompFilter | None) -> None:
        """For those who join later, maybe from another process."""
        if filter_ is None:
            return
        fd = os.open(os.path.join(directory, _FILTER_NAME), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, filter_.program)
        finally:
            os.close(fd)

    def _stored_filter(self, state: ContainerState) -> SeccompFilter | None:
        if state["seccomp"] is None:
            return None
        with open(os.path.join(state_directory(self.state_root, state["id"]), _FILTER_NAME), "rb") as f:
            return SeccompFilter(f.read(), *state["seccomp"])
