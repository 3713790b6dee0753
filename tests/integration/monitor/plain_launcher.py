"""A launcher whose containers are plain processes: the real launcher and monitors, and a runtime that only forks.

python plain_launcher.py EXEC_ROOT
"""

import json
import os
import signal
import sys
from typing import Any, NoReturn

from corten.errors import Conflict, Invalid
from corten.kernel.process import pidfd_open, pidfd_send_signal
from corten.kernel.pty import make_controlling, open_pty, set_window_size
from corten.monitor.launch.launcher import serve
from corten.monitor.runtime import Created
from corten.monitor.values import JsonObject, StartSpec
from corten.runtime.values import Process, Stdio


class PlainCreated:
    """A forked process that waits for a byte, then execs."""

    def __init__(self, process: dict[str, Any], io: Stdio) -> None:
        go_read, self._go = os.pipe()
        self._said, failed = os.pipe()
        master, terminal = open_pty() if io.terminal else (-1, -1)
        if io.terminal and io.height:
            set_window_size(master, io.height, io.width)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            _become(process, (terminal,) * 3 if io.terminal else (io.stdin, io.stdout, io.stderr), go_read, failed)
        for fd in (go_read, failed, *((terminal,) if io.terminal else ())):
            os.close(fd)
        self.pidfd = pidfd_open(self.pid)
        self.console_fd = master if io.terminal else None

    def start(self) -> None:
        os.write(self._go, b"g")
        os.close(self._go)
        error = os.read(self._said, 4096).decode()
        os.close(self._said)
        if error:
            os.waitpid(self.pid, 0)
            os.close(self.pidfd)
            if self.console_fd is not None:
                os.close(self.console_fd)
            raise Invalid(error, reason="exec-not-found")

    def abandon(self) -> None:
        os.close(self._go)


def _become(process: dict[str, Any], stdio: tuple[int, ...], go: int, failed: int) -> NoReturn:
    try:
        if os.read(go, 1) == b"g":
            os.setsid()
            for number, fd in enumerate(stdio):
                os.dup2(fd, number)
            if os.isatty(0):
                make_controlling(0)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvpe(process["args"][0], process["args"], dict(entry.split("=", 1) for entry in process["env"]))
    except OSError:
        os.write(failed, f'exec: "{process["args"][0]}": executable file not found in $PATH'.encode())
    os._exit(127)


class PlainRuntime:
    """State is a file with the pid. Pausing stops the process."""

    def create(self, container_id: str, start: StartSpec, io: Stdio) -> Created:
        with open(os.path.join(start["bundle"], "config.json"), encoding="utf-8") as f:
            process = json.load(f)["process"]
        os.makedirs(start["state_root"], exist_ok=True)
        path = os.path.join(start["state_root"], container_id)
        if os.path.exists(path):
            raise Conflict(f"container with given ID already exists: {container_id}", reason="container-exists")
        created = PlainCreated(process, io)
        with open(f"{path}.new", "w", encoding="ascii") as state:
            state.write(str(created.pid))
        os.rename(f"{path}.new", path)
        return created

    def execute(self, container_id: str, state_root: str, process: JsonObject, io: Stdio) -> Process:
        created = PlainCreated(process, io)
        created.start()
        return Process(created.pid, created.pidfd, created.console_fd)

    def kill_all(self, container_id: str, state_root: str, signal: int) -> None:
        self._signal(container_id, state_root, signal)

    def pause(self, container_id: str, state_root: str) -> None:
        self._signal(container_id, state_root, signal.SIGSTOP)

    def resume(self, container_id: str, state_root: str) -> None:
        self._signal(container_id, state_root, signal.SIGCONT)

    def update(self, container_id: str, state_root: str, resources: JsonObject) -> None:
        raise Invalid(f"cannot set {sorted(resources)}", reason="update-failed")

    def pids(self, container_id: str, state_root: str) -> list[int]:
        return [self._pid(container_id, state_root)]

    def stats(self, container_id: str, state_root: str) -> JsonObject:
        return {"pids_current": 1}

    def oom_kills(self, container_id: str, state_root: str) -> int:
        return 0

    def delete(self, container_id: str, state_root: str) -> None:
        try:
            self._signal(container_id, state_root, signal.SIGKILL)
            os.unlink(os.path.join(state_root, container_id))
        except FileNotFoundError:
            pass

    def _pid(self, container_id: str, state_root: str) -> int:
        with open(os.path.join(state_root, container_id), encoding="ascii") as f:
            return int(f.read())

    def _signal(self, container_id: str, state_root: str, number: int) -> None:
        try:
            pidfd = pidfd_open(self._pid(container_id, state_root))
        except ProcessLookupError:
            return
        try:
            pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)


if __name__ == "__main__":
    serve(sys.argv[1], PlainRuntime())
