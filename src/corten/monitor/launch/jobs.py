"""Work that waits in the kernel or computes for long, done by short-lived workers forked from the launcher, a few at a time.

Removing a cgroup waits some 40 ms, freezing one may wait for a disk, gzipping a log takes seconds: none of it may hold up the
launcher or the containers of a monitor. A worker stays for a moment after its job, for a fork costs more (1.6 ms) than most jobs.
"""

import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from corten.errors import EngineError, from_wire
from corten.monitor.connection import Connection, Fds
from corten.monitor.launch.offspring import fork_child
from corten.monitor.loop import Loop, Timer
from corten.monitor.values import JsonObject
from corten.monitor.wire import receive, send

_AT_ONCE = 8
_IDLE_SECONDS = 1.0


class Job(NamedTuple):
    """`what` tells the worker; `done` hears the error it ended in, or None."""

    what: JsonObject
    done: Callable[[EngineError | None], None]


class Jobs:
    """Begins jobs in their order. `work` is what a worker does with each; `name` is called in a new worker."""

    def __init__(self, loop: Loop, work: Callable[[JsonObject], None], name: Callable[[], None]) -> None:
        self._loop = loop
        self._work = work
        self._name = name
        self._waiting: deque[Job] = deque()
        self._workers: list[_Worker] = []

    def add(self, what: JsonObject, done: Callable[[EngineError | None], None]) -> None:
        self._waiting.append(Job(what, done))
        worker = next((w for w in self._workers if w.job is None), None)
        if worker is None and len(self._workers) < _AT_ONCE:
            worker = self._hire()
        if worker is not None:
            worker.take(self._waiting.popleft())

    def close(self) -> None:
        """Give up what waits; what runs is finished, but nobody hears of it."""
        self._waiting.clear()
        for worker in list(self._workers):
            worker.dismiss()

    def _hire(self) -> "_Worker":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fork_child((theirs.fileno(),), lambda: self._serve(theirs))
        theirs.close()
        worker = _Worker(self._loop, ours, on_free=self._next, on_gone=self._gone)
        self._workers.append(worker)
        return worker

    def _next(self, worker: "_Worker") -> None:
        if self._waiting:
            worker.take(self._waiting.popleft())

    def _gone(self, worker: "_Worker") -> None:
        self._workers.remove(worker)
        if self._waiting:
            self._hire().take(self._waiting.popleft())

    def _serve(self, launcher: socket.socket) -> None:
        """In the worker: one job after the other, until the launcher hangs up."""
        self._name()
        while (got := receive(launcher)) is not None:
            error = None
            try:
                self._work(got[0])
            except EngineError as e:
                error = e.to_wire()
            except OSError as e:
                error = EngineError(str(e), reason="os-error").to_wire()
            send(launcher, {"error": error})


class _Worker:
    """The launcher's end of one."""

    def __init__(
        self, loop: Loop, sock: socket.socket, *, on_free: Callable[["_Worker"], None], on_gone: Callable[["_Worker"], None]
    ) -> None:
        self.job: Job | None = None
        self._loop = loop
        self._on_free = on_free
        self._on_gone = on_gone
        self._idle: Timer | None = None
        self._connection = Connection(loop, sock, on_message=self._heard, on_closed=self._closed)

    def take(self, job: Job) -> None:
        self.job = job
        if self._idle is not None:
            self._idle.cancel()
        self._connection.send(job.what)

    def dismiss(self) -> None:
        self._connection.close()

    def _heard(self, _: Connection, message: JsonObject, fds: Fds) -> None:
        error = message["error"]
        self._finish(from_wire(error) if error else None)
        self._on_free(self)
        if self.job is None:
            self._idle = self._loop.after(_IDLE_SECONDS, self.dismiss)

    def _closed(self, _: Connection) -> None:
        self._on_gone(self)
        self._finish(EngineError("a worker of the launcher died", reason="worker-died"))

    def _finish(self, error: EngineError | None) -> None:
        job, self.job = self.job, None
        if job is not None:
            job.done(error)
