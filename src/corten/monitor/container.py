"""One container in a monitor: its main process, its execs, and what may be asked of them when."""

import time
from collections.abc import Iterator

from corten.errors import Conflict, EngineError, NotFound
from corten.monitor import exits
from corten.monitor.keeper import MAIN, Held, TaskRecord
from corten.monitor.logs.decode import runs
from corten.monitor.logs.read import blocks, open_log
from corten.monitor.logs.render import Renderer, Selection
from corten.monitor.logs.rotation import DEFAULT_MAX_FILE
from corten.monitor.reports import Reports, Services
from corten.monitor.runtime import Created
from corten.monitor.stdio.closing import adopt_socket
from corten.monitor.stdio.ends import ChildEnds, Wishes, open_streams
from corten.monitor.stdio.keys import parse_detach_keys
from corten.monitor.task import Task
from corten.monitor.values import AttachOptions, ContainerState, ExecState, JsonObject, LogSpec, StartSpec, StdioSpec
from corten.runtime.values import Stdio

EXECS_REMEMBERED = 16
"""Finished execs whose exit a daemon that was away can still learn."""

_NOT_STARTED: StartSpec = {"bundle": "", "state_root": "", "root_mounts": []}


class Container:
    """Prepared (streams without a process), running, or exited until it is closed."""

    def __init__(self, services: Services, container_id: str) -> None:
        self.id = container_id
        self.paused = False
        self._services = services
        self._reports = Reports(services, container_id, on_exec_over=self._exec_over)
        self._main: Task | None = None
        self._child = ChildEnds()
        self._execs: dict[str, Task] = {}
        self._finished: dict[str, ExecState] = {}

    @property
    def is_running(self) -> bool:
        return self._main is not None and self._main.is_running

    @property
    def state_root(self) -> str:
        """The runtime's, of a container that runs. NotFound otherwise."""
        return self._running().record["spec"]["state_root"]

    def state(self) -> ContainerState:
        main = self._main
        started = main is not None and main.record["pid"] != 0
        execs: dict[str, ExecState] = {e.exec_id: _exec_state(e) for e in self._execs.values()}
        return {
            "id": self.id,
            "status": "running" if self.is_running else "exited" if started else "prepared",
            "paused": self.paused,
            "pid": main.record["pid"] if main is not None else 0,
            "started_at": main.record["started_at"] if main is not None else 0,
            "exit": main.exit if main is not None else None,
            "execs": self._finished | execs,
        }

    def prepare(self, stdio: StdioSpec) -> None:
        """Open the streams; nothing happens when they are. OSError when the log cannot be opened."""
        if self._main is not None:
            return
        roles, child = open_streams(Wishes(stdio["tty"], stdin=stdio["open_stdin"]))
        record = self._record(MAIN, stdio["tty"], stdin=stdio["open_stdin"], stdin_once=stdio["stdin_once"], log=stdio["log"])
        task = Task(self._services.loop, self._reports, record, roles)
        try:
            task.open()
        except OSError:
            child.close()
            task.close()
            raise
        self._main, self._child = task, child

    def start(self, spec: StartSpec, stdio: StdioSpec) -> None:
        """Returns when the user's program runs; on an error the container is as if it had never been here."""
        if self._main is not None and self._main.record["pid"]:
            raise Conflict(f"container {self.id} is already running", reason="already-running")
        self.prepare(stdio)
        task = self._main
        assert task is not None
        try:
            self._start(task, spec)
        except (EngineError, OSError):
            self.close()
            raise

    def execute(self, exec_id: str, process: JsonObject, options: AttachOptions, sock_fd: int | None, initial: bytes) -> int:
        """Run a process and give its streams to the client, if there is one; its pid. `sock_fd` is ours if this succeeds."""
        main = self._running()
        parse_detach_keys(options["detach_keys"])
        tty = bool(process.get("terminal"))
        listened = sock_fd is not None
        wishes = Wishes(tty, *(listened and options[name] for name in ("stdin", "stdout", "stderr")))
        roles, child = open_streams(wishes)
        record = self._record(exec_id, tty, stdin=wishes.stdin, stdin_once=True, log=None)
        record["spec"] = main.record["spec"]
        task = Task(self._services.loop, self._reports, record, roles)
        self._services.keeper.hold(record, task.held())
        try:
            size = process.get("consoleSize") or {}
            io = Stdio(*child, terminal=tty, height=size.get("height", 0), width=size.get("width", 0))
            made = self._services.runtime.execute(self.id, self.state_root, process, io)
        except (EngineError, OSError):
            task.close()
            self._services.keeper.release(self.id, exec_id)
            raise
        finally:
            child.close()
        task.record = {**record, "pid": made.pid, "started_at": time.time_ns(), "started": True}
        task.open()
        task.started(made.pidfd, made.console_fd)
        self._execs[exec_id] = task
        self._services.keeper.hold(task.record, task.held())
        if sock_fd is not None:
            task.streams.attach(adopt_socket(sock_fd), options, initial, None)
        return made.pid

    def attach(self, sock_fd: int, options: AttachOptions, initial: bytes) -> None:
        """`sock_fd` is ours if this succeeds. Conflict when it has exited."""
        if self._main is None or (self._main.record["pid"] and not self._main.is_running):
            raise Conflict(f"container {self.id} is not running", reason="not-running")
        parse_detach_keys(options["detach_keys"])
        streams = self._main.streams
        log = self._main.record["log"]
        end = streams.log_end()
        replay = _replay(log, options, end) if options["logs"] and log is not None and end is not None else None
        streams.attach(adopt_socket(sock_fd), options, initial, replay)

    def resize(self, exec_id: str | None, height: int, width: int) -> None:
        if not self._task(exec_id).streams.resize(height, width):
            raise Conflict("the process has no terminal", reason="no-terminal")

    def signal(self, exec_id: str | None, number: int) -> None:
        self._task(exec_id).signal(number)

    def restore(self, held: Held) -> None:
        """Go on with a predecessor's process."""
        record, fds = held
        task = Task(self._services.loop, self._reports, record, fds)
        if record["exec_id"]:
            self._execs[record["exec_id"]] = task
        else:
            self._main = task
        task.restore()

    def orphan_exited(self, exec_id: str, code: int, finished_at: int) -> None:
        """The launcher says how a process ended that our predecessor had started."""
        task = self._execs.get(exec_id) if exec_id else self._main
        if task is not None:
            task.orphan_exited(code, finished_at)

    def close(self) -> None:
        """Give everything up; clients still read what there is."""
        for task in self._tasks():
            task.close()
            self._services.keeper.release(self.id, task.exec_id)
        self._child.close()
        self._child = ChildEnds()
        self._main = None
        self._execs.clear()

    def _start(self, task: Task, spec: StartSpec) -> None:
        services = self._services
        task.record = {**task.record, "spec": spec}
        exits.remove_exit(task.exit_path)
        services.keeper.hold(task.record, task.held())
        height, width = spec.get("console_size") or (0, 0)
        try:
            io = Stdio(*self._child, terminal=task.record["tty"], height=height, width=width)
            created = services.runtime.create(self.id, spec, io)
        finally:
            self._child.close()
            self._child = ChildEnds()
        self._hold_created(task, created)
        created.start()
        task.record = {**task.record, "started": True}
        task.started(created.pidfd, created.console_fd)
        services.keeper.hold(task.record, task.held())

    def _hold_created(self, task: Task, created: Created) -> None:
        """Before the user's program can print a byte or end, the launcher knows the process."""
        task.record = {**task.record, "pid": created.pid, "started_at": time.time_ns()}
        fds = {"pidfd": created.pidfd}
        if created.console_fd is not None:
            fds["console"] = created.console_fd
        self._services.keeper.hold(task.record, fds)

    def _record(self, exec_id: str, tty: bool, *, stdin: bool, stdin_once: bool, log: LogSpec | None) -> TaskRecord:
        return {
            "id": self.id,
            "exec_id": exec_id,
            "tty": tty,
            "stdin": stdin,
            "stdin_once": stdin_once,
            "log": log if log is not None and log["driver"] != "none" else None,
            "spec": _NOT_STARTED,
            "pid": 0,
            "started_at": 0,
            "started": False,
            "over": False,
        }

    def _tasks(self) -> list[Task]:
        return [*([] if self._main is None else [self._main]), *self._execs.values()]

    def _task(self, exec_id: str | None) -> Task:
        if exec_id is None:
            return self._running()
        if exec_id not in self._execs:
            raise NotFound(f"exec {exec_id} is not running", reason="not-live")
        return self._execs[exec_id]

    def _running(self) -> Task:
        if self._main is None or not self._main.is_running:
            raise Conflict(f"container {self.id} is not running", reason="not-running")
        return self._main

    def _exec_over(self, task: Task) -> None:
        del self._execs[task.exec_id]
        assert task.exit is not None
        self._finished[task.exec_id] = {"pid": task.record["pid"], "exit_code": task.exit["exit_code"]}
        task.close()
        while len(self._finished) > EXECS_REMEMBERED:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            exits.remove_exit(exits.exit_path(task.record["spec"]["bundle"], oldest))


def _exec_state(task: Task) -> ExecState:
    return {"pid": task.record["pid"], "exit_code": None if task.exit is None else task.exit["exit_code"]}


def _replay(log: LogSpec, options: AttachOptions, end: tuple[int, int]) -> Iterator[bytes]:
    """The log up to `end`, as this client wants it."""
    renderer = Renderer(Selection(options["stdout"], options["stderr"], framed=options["framed"]))
    files = open_log(log["path"], log.get("max_file", DEFAULT_MAX_FILE))
    try:
        for block in blocks(files, end):
            yield b"".join([renderer.render(run) for run in runs(block)])
    finally:
        for file in files:
            file.close()
