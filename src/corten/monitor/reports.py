"""What a container's processes report, passed on to the launcher and to the daemon."""

from collections.abc import Callable
from typing import NamedTuple

from corten.errors import EngineError
from corten.monitor.keeper import Keeper
from corten.monitor.logs.rotation import DEFAULT_MAX_FILE
from corten.monitor.loop import Loop
from corten.monitor.runtime import Runtime
from corten.monitor.task import Task
from corten.monitor.values import ExitRecord, JsonObject, StartSpec

_SIGKILL = 9


class Services(NamedTuple):
    """What the containers of one monitor share. `announce(event, container id, values)` tells the daemon."""

    loop: Loop
    runtime: Runtime
    keeper: Keeper
    announce: Callable[[str, str, JsonObject], None]


class Reports:
    """Of one container; the `TaskHost` of its tasks. `on_exec_over` hears of an exec whose exit is on disk."""

    def __init__(self, services: Services, container_id: str, *, on_exec_over: Callable[[Task], None]) -> None:
        self._services = services
        self._id = container_id
        self._on_exec_over = on_exec_over

    def task_died(self, task: Task) -> None:
        """With a pid namespace of its own the kernel has killed all the others already."""
        spec = task.record["spec"]
        if task.exec_id or spec.get("private_pids", True):
            return
        try:
            self._services.runtime.kill_all(self._id, spec["state_root"], _SIGKILL)
        except (EngineError, OSError):
            pass  # nobody left

    def task_over(self, task: Task) -> ExitRecord:
        oom_killed = not task.exec_id and self._is_oom(task.record["spec"])
        return {"exit_code": task.died_with, "finished_at": task.finished_at, "oom_killed": oom_killed}

    def task_announced(self, task: Task) -> None:
        if task.exit is not None and task.exit["oom_killed"]:
            self._services.announce("oom", self._id, {})
        self._services.announce("exited", self._id, {"exec_id": task.exec_id or None, "exit": task.exit})
        keeper = self._services.keeper
        if task.exec_id:
            keeper.release(self._id, task.exec_id)
            self._on_exec_over(task)
        else:
            task.record = {**task.record, "over": True}
            keeper.over(task.record)

    def task_detached(self, task: Task) -> None:
        self._services.announce("detached", self._id, {"exec_id": task.exec_id or None})

    def task_log_failed(self, task: Task, error: OSError) -> None:
        self._services.announce("log-failed", self._id, {"message": str(error)})

    def task_rotated(self, task: Task, inode: int) -> None:
        log = task.record["log"]
        if log is not None and log.get("compress", False):
            self._services.keeper.compress(log["path"], inode, log.get("max_file", DEFAULT_MAX_FILE))

    def task_released(self, task: Task, role: str) -> None:
        self._services.keeper.drop(self._id, task.exec_id, role)

    def _is_oom(self, spec: StartSpec) -> bool:
        try:
            return self._services.runtime.oom_kills(self._id, spec["state_root"]) > 0
        except (EngineError, OSError):
            return False
