"""The launcher: forks monitors and keeps what they would lose by dying. Warm, single-threaded, outlives every daemon.

    daemon ── launcher.sock ──▶ launcher ── fork ──▶ monitor ── fork ──▶ container
                                   │  ◀── notes, copies of descriptors ──┘
                                   └─ fork ─▶ one reader for each `logs`; jobs (deleting a cgroup, gzipping a log)

It is the subreaper of them all: when a monitor dies, its containers become the launcher's children, which forks another monitor
that has their descriptors and goes on, and passes on how they end. When the launcher dies its monitors go on; the daemon starts
another launcher, which finds the monitors by their sockets and is told everything again.
"""

import fcntl
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable

from corten.errors import Conflict, EngineError, NotFound
from corten.kernel.process import set_child_subreaper
from corten.monitor.connection import Connection, Door, Fds, Request, handle
from corten.monitor.launch.jobs import Jobs
from corten.monitor.launch.offspring import fork_child
from corten.monitor.launch.title import Title
from corten.monitor.launch.wards import Ground, Ward, Wards
from corten.monitor.logs.compress import compress
from corten.monitor.logs.serve import serve_logs
from corten.monitor.loop import EPOLLIN, Loop
from corten.monitor.runtime import Runtime
from corten.monitor.values import JsonObject, LogOptions
from corten.monitor.wire import listen

_READY = b"ready"


class Launcher:
    """Serves `root`/launcher.sock."""

    def __init__(self, root: str, runtime: Runtime, title: Title) -> None:
        self._root = root
        self._runtime = runtime
        self._loop = Loop()
        self._title = title
        self._jobs = Jobs(self._loop, self._work, lambda: title.set("corten-worker", root))
        self._connections: list[Connection] = []
        self._wards = Wards(Ground(self._loop, root, runtime, title), on_note=self._noted, on_change=self._tell_change)
        self._operations: dict[str, Callable[[Request], None]] = {
            "monitors": self._monitors,
            "spawn": self._spawn,
            "logs": self._logs,
            "job": self._job,
            "stop": self._stop,
        }
        self._watch_children()
        self._wards.find_survivors()
        self._door = Door(self._loop, listen(os.path.join(root, "launcher.sock")), self._connect)

    def run(self) -> None:
        """Until it is told to stop."""
        self._loop.run()

    # Children

    def _watch_children(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._loop.add(read, EPOLLIN, lambda _: self._children_changed(read))

    def _children_changed(self, wakeup: int) -> None:
        try:
            os.read(wakeup, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if child is None:
                return
            code = child.si_status if child.si_code == os.CLD_EXITED else 128 + child.si_status
            self._wards.orphan_exited(child.si_pid, code)
            os.waitid(os.P_PID, child.si_pid, os.WEXITED | os.WNOHANG)

    # Connections

    def _connect(self, sock: socket.socket) -> Connection:
        def closed(gone: Connection) -> None:
            self._connections.remove(gone)

        connection = Connection(self._loop, sock, on_message=self._heard, on_closed=closed)
        self._connections.append(connection)
        return connection

    def _heard(self, connection: Connection, message: JsonObject, fds: Fds) -> None:
        handle(Request(connection, message, fds), self._operations)

    def _tell_change(self) -> None:
        for connection in self._connections:
            connection.send({"event": "monitors"})

    def _noted(self, ward: Ward, note: JsonObject) -> None:
        if note["note"] != "compress":
            return

        def done(error: EngineError | None) -> None:
            if error is None:
                ward.tell(note | {"note": "compressed"})

        self._jobs.add(note | {"what": "compress"}, done)

    # Operations

    def _monitors(self, request: Request) -> None:
        request.answer({"names": self._wards.names()})

    def _spawn(self, request: Request) -> None:
        request.answer({"name": self._wards.spawn()})

    def _logs(self, request: Request) -> None:
        """Answered once there is a reader, which owns the client from then on."""
        request.claim()
        options: LogOptions = request.arguments["options"]
        running = self._wards.find_running(request.arguments["id"])
        if running is None:
            options["follow"] = False
        runtime_dir = running["spec"]["bundle"] if running is not None else ""
        sock_fd = request.fds[0]

        def read() -> None:
            self._title.set("corten-logs", request.arguments["id"])
            serve_logs(sock_fd, options, runtime_dir)

        fork_child((sock_fd,), read)
        request.answer()

    def _job(self, request: Request) -> None:
        """Something that may wait long: done by a worker, answered when it is over."""
        arguments = request.arguments
        if "state_root" not in arguments:
            running = self._wards.find_running(arguments["id"])
            if running is None:
                raise NotFound(f"container {arguments['id']} is not running", reason="not-live")
            arguments["state_root"] = running["spec"]["state_root"]

        def done(error: EngineError | None) -> None:
            if error is None:
                request.answer()
            else:
                request.refuse(error)

        self._jobs.add(arguments, done)

    def _work(self, job: JsonObject) -> None:
        """In a worker."""
        if job["what"] == "compress":
            compress(job["path"], job["inode"])
            return
        operation = {"delete": self._runtime.delete, "pause": self._runtime.pause, "resume": self._runtime.resume}[job["what"]]
        operation(job["id"], job["state_root"])

    def _stop(self, request: Request) -> None:
        if self._wards.holds_anything():
            raise Conflict("containers are running", reason="containers-held")
        self._door.close()
        os.unlink(os.path.join(self._root, "launcher.sock"))
        self._wards.end_all()
        self._jobs.close()
        request.answer()
        self._loop.stop()


def serve(root: str, runtime: Runtime) -> None:
    """Be the launcher of `root`; returns when it is stopped, at once when there is one already. Raises OSError when it cannot begin.

    The caller's process becomes the parent of a new session's leader and leaves once that listens.
    """
    ready, said = os.pipe()
    if os.fork():
        os.close(said)
        if os.read(ready, len(_READY)) != _READY:
            os._exit(1)
        os._exit(0)
    os.close(ready)
    os.setsid()
    title = Title()
    title.set("corten-launcher", root)
    lock = _prepare(root)
    if lock is not None:
        launcher = Launcher(root, runtime, title)
        _to_background(root)
        gc.collect()
        gc.freeze()
        os.write(said, _READY)
        os.close(said)
        launcher.run()
        os.close(lock)
    else:
        os.write(said, _READY)


def _prepare(root: str) -> int | None:
    """The exec root's folders, and its lock; None if another launcher has that."""
    os.makedirs(os.path.join(root, "monitors"), mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(root, "launcher.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    set_child_subreaper()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return lock


def _to_background(root: str) -> None:
    """From here on it speaks to its log only."""
    log = os.open(os.path.join(root, "launcher.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)
