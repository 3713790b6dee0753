"""Work that waits in the kernel or computes for long, done in short-lived forks of the launcher, a few at a time.

Removing a cgroup waits some 40 ms, freezing one may wait for a disk, gzipping a log takes seconds: none of it may hold up the
launcher or the containers of a monitor.
"""

import json
import os
from collections import deque
from collections.abc import Callable

from corten.errors import EngineError, from_wire
from corten.monitor.launch.offspring import fork_child

_AT_ONCE = 8


class Job:
    """`work` is done in a fork; `done` is called here with the error it ended in, or None."""

    __slots__ = ("_done", "_pipe", "_work")

    def __init__(self, work: Callable[[], None], done: Callable[[EngineError | None], None]) -> None:
        self._work = work
        self._done = done
        self._pipe = -1

    def begin(self) -> int:
        """The child's pid."""
        self._pipe, write = os.pipe()
        try:
            return fork_child((write,), lambda: self._run(write))
        finally:
            os.close(write)

    def end(self) -> None:
        """The child is over."""
        said = os.read(self._pipe, 1 << 16)
        os.close(self._pipe)
        if not said:
            self._done(EngineError("a helper process died", reason="job-died"))
        else:
            error = json.loads(said)
            self._done(from_wire(error) if error else None)

    def _run(self, write: int) -> None:
        try:
            self._work()
            error = None
        except EngineError as e:
            error = e.to_wire()
        except OSError as e:
            error = EngineError(str(e), reason="os-error").to_wire()
        os.write(write, json.dumps(error).encode())


class Jobs:
    """Begins jobs in their order, `_AT_ONCE` at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._running: dict[int, Job] = {}

    def add(self, work: Callable[[], None], done: Callable[[EngineError | None], None]) -> None:
        self._waiting.append(Job(work, done))
        self._begin()

    def ended(self, pid: int) -> bool:
        """A child was reaped; False if it was none of ours."""
        job = self._running.pop(pid, None)
        if job is None:
            return False
        job.end()
        self._begin()
        return True

    def _begin(self) -> None:
        while self._waiting and len(self._running) < _AT_ONCE:
            job = self._waiting.popleft()
            self._running[job.begin()] = job
