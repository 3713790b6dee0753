"""A launcher with its monitors in a folder of their own, and what tests do with them."""

import asyncio
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from corten.errors import EngineError
from corten.monitor.client import LAUNCHER, Monitors
from corten.monitor.events import Event, Exited, Started
from corten.monitor.values import AttachOptions, JsonObject, LogOptions, LogSpec, StartSpec, StdioSpec
from corten.runtime.commands.template import template

PATIENCE = 20.0
PLAIN = (sys.executable, str(Path(__file__).with_name("plain_launcher.py")))
APPLETS = ("sh", "cat", "echo", "seq", "sleep", "tail", "true", "yes", "head", "tr", "printf", "stty", "dd", "readlink")


class World:
    """One exec root. `real` runs containers with the built-in runtime (root wanted), else they are plain processes."""

    def __init__(self, *, real: bool) -> None:
        self.real = real
        self.root = Path(tempfile.mkdtemp(prefix="corten-monitor-"))
        self.events: list[Event] = []
        self._monitors: Monitors | None = None
        self._heard = asyncio.Event()
        self._streams: list[Stream] = []
        if real:
            self._make_root_file_system()

    @property
    def monitors(self) -> Monitors:
        assert self._monitors is not None
        return self._monitors

    @property
    def state_root(self) -> str:
        return str(self.root / "state")

    async def connect(self) -> None:
        """As a daemon that has just started."""
        self._monitors = await Monitors.connect(str(self.root / "run"), on_event=self._hear, command=LAUNCHER if self.real else PLAIN)

    async def disconnect(self) -> None:
        """As a daemon that is killed."""
        await self.monitors.close()

    async def stop(self) -> None:
        """End everything; fails when processes stay."""
        for stream in self._streams:
            stream.close()
        for container_id, live in self.monitors.live().items():
            if live.status == "running":
                await self.monitors.of(container_id).kill(signal.SIGKILL)
                await self.ended(container_id)
            await self.monitors.forget(container_id, self.state_root)
        await self.monitors.stop()
        for _ in range(200):
            if not self.pids(""):
                break
            await asyncio.sleep(0.01)
        left = {pid: command_line(pid) for pid in self.pids("")}
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root)
        assert left == {}

    # Containers

    def stdio(self, container_id: str, *, tty: bool = False, stdin: bool = False, once: bool = False, **log: Any) -> StdioSpec:
        return {"tty": tty, "open_stdin": stdin, "stdin_once": once, "log": self.log(container_id, **log)}

    def log(self, container_id: str, **more: Any) -> LogSpec:
        folder = self.root / "data" / container_id
        folder.mkdir(parents=True, exist_ok=True)
        log: LogSpec = {"driver": "json-file", "path": str(folder / "json.log"), "max_size": -1}
        log.update(more)  # type: ignore[typeddict-item]
        return log

    def spec(self, container_id: str, *args: str, tty: bool = False, resources: JsonObject | None = None) -> StartSpec:
        bundle = self.root / "run" / "containers" / container_id
        bundle.mkdir(parents=True, exist_ok=True)
        config = template(rootless=False)
        config["process"] |= {"args": list(args), "terminal": tty, "env": [f"PATH={os.environ['PATH'] if not self.real else '/bin'}"]}
        config["root"] = {"path": str(self.root / "rootfs"), "readonly": True}
        config["linux"]["cgroupsPath"] = f"/corten-monitor-test/{container_id}"
        config["linux"]["resources"] |= resources or {}
        (bundle / "config.json").write_text(json.dumps(config))
        return {"bundle": str(bundle), "state_root": self.state_root, "root_mounts": []}

    def process(self, *args: str, tty: bool = False) -> JsonObject:
        path = "/bin" if self.real else os.environ["PATH"]
        return {"args": list(args), "cwd": "/", "env": [f"PATH={path}"], "user": {"uid": 0, "gid": 0}, "terminal": tty}

    async def start(self, *args: str, stdio: StdioSpec | None = None, container_id: str = "") -> str:
        container_id = container_id or new_id()
        stdio = stdio or self.stdio(container_id)
        await self.start_as(container_id, stdio, *args)
        return container_id

    async def start_as(self, container_id: str, stdio: StdioSpec, *args: str) -> Started:
        return await self.monitors.start(container_id, self.spec(container_id, *args, tty=stdio["tty"]), stdio)

    async def ended(self, container_id: str, exec_id: str | None = None) -> Exited:
        """The news of its end, if it was not heard yet; awaited."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.events:
                    if isinstance(event, Exited) and (event.container_id, event.exec_id) == (container_id, exec_id):
                        return event
                self._heard.clear()
                await self._heard.wait()

    async def forget(self, container_id: str) -> None:
        await self.monitors.forget(container_id, self.state_root)

    # Streams

    async def attach(self, container_id: str, initial: bytes = b"", **options: Any) -> "Stream":
        wanted = attach_options(**options)
        return await self._opened(lambda fd: self.monitors.attach(container_id, wanted, fd, initial))

    async def execute(self, container_id: str, exec_id: str, *args: str, tty: bool = False, **options: Any) -> "Stream":
        wanted = attach_options(**options)
        process = self.process(*args, tty=tty)
        return await self._opened(lambda fd: self.monitors.exec_start(container_id, exec_id, process, options=wanted, sock_fd=fd))

    async def logs(self, container_id: str, log: LogSpec | None = None, **options: Any) -> "Stream":
        wanted = log_options(log or self.log(container_id), **options)
        return await self._opened(lambda fd: self.monitors.logs(container_id, wanted, fd))

    async def log_text(self, container_id: str, log: LogSpec | None = None, **options: Any) -> bytes:
        return await (await self.logs(container_id, log, **options)).read_all()

    async def _opened(self, give: Callable[[int], Awaitable[object]]) -> "Stream":
        ours, theirs = socket.socketpair()
        stream = Stream(ours)
        with theirs:
            try:
                await give(theirs.fileno())
            except EngineError:
                stream.close()
                raise
        self._streams.append(stream)
        return stream

    # Processes

    def pids(self, kind: str) -> list[int]:
        """Of processes of this world by the begin of their title: "corten-launcher", "corten-monitor"; "" = all.

        What such a process has forked and what has not become something else yet does not count.
        """
        found = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                line = command_line(int(entry))
                if line.startswith(kind or "corten-") and str(self.root) in line:
                    found[int(entry)] = parent_of(int(entry))
        return [pid for pid, parent in found.items() if not kind or parent not in found]

    def kill(self, kind: str) -> None:
        """Returns when they are dead, which on a busy machine takes a moment."""
        for pid in self.pids(kind):
            try:
                pidfd = os.pidfd_open(pid)
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            select.select([pidfd], [], [], PATIENCE)
            os.close(pidfd)

    async def repaired(self) -> None:
        """Returns when a request gets through to launcher and monitors again."""
        await self.monitors.forget("nobody", self.state_root)
        async with asyncio.timeout(PATIENCE):
            while not self.pids("corten-monitor") or not self.pids("corten-launcher"):
                await asyncio.sleep(0.01)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._heard.set()

    def _make_root_file_system(self) -> None:
        root = self.root / "rootfs"
        for name in ("bin", "proc", "dev", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        busybox = shutil.which("busybox")
        assert busybox, "busybox is needed"
        shutil.copy(busybox, root / "bin" / "busybox")
        for name in APPLETS:
            (root / "bin" / name).symlink_to("busybox")


class Stream:
    """The client's end of a socket whose other end a monitor has."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def read(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)

    async def read_until(self, end: bytes) -> bytes:
        found = b""
        while end not in found:
            more = await self.read()
            assert more, f"ended after {found[-200:]!r}"
            found += more
        return found

    async def read_all(self) -> bytes:
        """To the end, and closed."""
        found = []
        while data := await self.read():
            found.append(data)
        self.sock.close()
        return b"".join(found)

    async def write(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()


def new_id() -> str:
    return secrets.token_hex(8)


def attach_options(**options: Any) -> AttachOptions:
    wanted: AttachOptions = {
        "stdin": False,
        "stdout": True,
        "stderr": True,
        "stream": True,
        "logs": False,
        "framed": True,
        "detach_keys": "",
    }
    wanted.update(options)  # type: ignore[typeddict-item]
    return wanted


def log_options(log: LogSpec, **options: Any) -> LogOptions:
    wanted: LogOptions = {
        "log": log,
        "follow": False,
        "stdout": True,
        "stderr": True,
        "since_ns": 0,
        "until_ns": 0,
        "tail": -1,
        "timestamps": False,
        "details": False,
        "framed": False,
        "chunked": False,
    }
    wanted.update(options)  # type: ignore[typeddict-item]
    return wanted


def demultiplexed(framed: bytes) -> tuple[bytes, bytes]:
    """(stdout, stderr) of frames; fails on a torn one."""
    found: dict[int, list[bytes]] = {1: [], 2: []}
    at = 0
    while at < len(framed):
        size = int.from_bytes(framed[at + 4 : at + 8], "big")
        found[framed[at]].append(framed[at + 8 : at + 8 + size])
        at += 8 + size
    assert at == len(framed)
    return b"".join(found[1]), b"".join(found[2])


def numbers(first: int, last: int, end: str = "\n") -> bytes:
    """What `seq` prints."""
    return "".join(f"{n}{end}" for n in range(first, last + 1)).encode()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
