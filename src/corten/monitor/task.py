"""One process with its streams: a container's main one, or an exec. From before it exists until its exit is on disk and announced."""

import time
from typing import Protocol

from corten.errors import Conflict
from corten.kernel.process import pidfd_send_signal
from corten.monitor import exits
from corten.monitor.keeper import TaskRecord
from corten.monitor.loop import EPOLLIN, Loop
from corten.monitor.stdio.ends import Roles, Wishes
from corten.monitor.stdio.streams import Streams
from corten.monitor.values import UNKNOWN_EXIT, ExitRecord

_ORPHAN_SECONDS = 3.0
_LOOK_SECONDS = 0.02


class TaskHost(Protocol):
    """The container, as its processes see it."""

    def task_died(self, task: "Task") -> None:
        """It has exited; its output is not yet through."""

    def task_over(self, task: "Task") -> ExitRecord:
        """All its output is through: complete the record (`oom_killed`), which then goes to disk."""

    def task_announced(self, task: "Task") -> None:
        """Its exit is on disk: tell."""

    def task_detached(self, task: "Task") -> None: ...

    def task_log_failed(self, task: "Task", error: OSError) -> None: ...

    def task_rotated(self, task: "Task", inode: int) -> None: ...

    def task_released(self, task: "Task", role: str) -> None: ...


class Task:
    """`record` is what the launcher holds of it; `exit` is set once it is over."""

    def __init__(self, loop: Loop, host: TaskHost, record: TaskRecord, roles: Roles) -> None:
        """`roles`: descriptors, the task's now (see `stdio.streams`); those not there are /dev/null."""
        self.record = record
        self.exit: ExitRecord | None = None
        self.died_with = UNKNOWN_EXIT
        self.finished_at = 0
        self._loop = loop
        self._host = host
        self._pidfd = roles.pop("pidfd", -1)
        wishes = Wishes(record["tty"], stdin=record["stdin"], stdout="spool1" in roles, stderr="spool2" in roles)
        self.streams = Streams(loop, roles, _Ear(self, host), wishes, stdin_once=record["stdin_once"])

    @property
    def exec_id(self) -> str:
        return self.record["exec_id"]

    @property
    def is_running(self) -> bool:
        return self._pidfd >= 0

    @property
    def exit_path(self) -> str:
        return exits.exit_path(self.record["spec"]["bundle"], self.exec_id or None)

    def held(self) -> Roles:
        """Descriptors for the launcher to hold."""
        pidfd = {"pidfd": self._pidfd} if self._pidfd >= 0 else {}
        return self.streams.roles | pidfd

    def open(self) -> None:
        """Log and pipes; OSError when the log cannot be opened."""
        if self.record["log"] is not None and "spool1" in self.streams.roles:
            self.streams.set_log(self.record["log"])
        self.streams.begin()

    def started(self, pidfd: int, console_fd: int | None) -> None:
        """The process runs; the descriptors are the task's now."""
        if console_fd is not None:
            self.streams.set_console(console_fd)
        self._pidfd = pidfd
        self._loop.add(pidfd, EPOLLIN, self._exited)

    def restore(self) -> None:
        """Go on with a predecessor's process. Not our child: its status comes from the launcher (`orphan_exited`) or the kernel."""
        self.exit = exits.load_exit(self.exit_path)
        if self.exit is not None:
            self.close()
            self._host.task_announced(self)
            return
        try:
            self.open()
        except OSError as e:
            self._host.task_log_failed(self, e)
            self.streams.begin()
        self._loop.add(self._pidfd, EPOLLIN, self._exited)

    def orphan_exited(self, code: int, finished_at: int) -> None:
        if self._pidfd >= 0 and not self.finished_at:
            self._died(code, finished_at)

    def signal(self, number: int) -> None:
        """Conflict when it is over."""
        try:
            if self._pidfd < 0:
                raise ProcessLookupError
            pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            raise Conflict("process is not running", reason="not-running") from None

    def close(self) -> None:
        """Give everything up; clients read what there still is."""
        self.streams.close()
        if self._pidfd >= 0:
            self._loop.close(self._pidfd)
            self._pidfd = -1

    # The end

    def _exited(self, _: int) -> None:
        try:
            code = exits.peek(self._pidfd)
        except ChildProcessError:
            self._loop.remove(self._pidfd)
            self._look_for_status(time.monotonic() + _ORPHAN_SECONDS)
            return
        if code is not None:
            self._died(code, time.time_ns())

    def _look_for_status(self, deadline: float) -> None:
        """Not our child: the launcher says how it ended (`orphan_exited`), or it is dead too and left a file, or the kernel knows

        once whoever is the parent has reaped it.
        """
        if self._pidfd < 0 or self.finished_at:
            return
        note = exits.load_exit(exits.orphan_path(self.record["spec"]["bundle"], self.record["pid"]))
        if note is not None:
            self._died(note["exit_code"], note["finished_at"])
            return
        code = exits.peek_foreign(self._pidfd)
        if code is None and time.monotonic() < deadline:
            self._loop.after(_LOOK_SECONDS, lambda: self._look_for_status(deadline))
        else:
            self._died(UNKNOWN_EXIT if code is None else code, time.time_ns())

    def _died(self, code: int, finished_at: int) -> None:
        self.died_with = code
        self.finished_at = finished_at
        self._loop.remove(self._pidfd)
        self._host.task_died(self)
        self.streams.finish(self._over)

    def _over(self) -> None:
        self.exit = self._host.task_over(self)
        try:
            exits.save_exit(self.exit_path, self.exit)
        except OSError as e:  # a full or vanished disk: the daemon is told all the same
            self._host.task_log_failed(self, e)
        exits.reap(self._pidfd)
        self._loop.close(self._pidfd)
        self._pidfd = -1
        self._host.task_announced(self)
        self.streams.audience.end()


class _Ear:
    """Passes on what a task's streams report, with the task's name to it."""

    def __init__(self, task: Task, host: TaskHost) -> None:
        self._task = task
        self._host = host

    def detached(self) -> None:
        self._host.task_detached(self._task)

    def log_failed(self, error: OSError) -> None:
        self._host.task_log_failed(self._task, error)

    def rotated(self, inode: int) -> None:
        self._host.task_rotated(self._task, inode)

    def released(self, role: str) -> None:
        self._host.task_released(self._task, role)
