"""A running container seen from outside: attach, logs, resize, top. The bytes never pass here: the client's socket goes to the monitor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from corten.engine.containers.log_config import log_spec, stdio_spec
from corten.engine.containers.protocols import MonitorClient
from corten.engine.containers.run.exit_handling import ExitHandler
from corten.engine.containers.top import ProcessTable, process_table
from corten.engine.events import Events
from corten.engine.paths import Paths
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process, require
from corten.errors import Conflict, Unsupported
from corten.monitor.stdio.keys import parse_detach_keys
from corten.monitor.values import AttachOptions, LogOptions, LogSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines of a log: times are ns since the epoch, 0 = open; `tail` -1 = all."""

    follow: bool = False
    stdout: bool = False
    stderr: bool = False
    since: int = 0
    until: int = 0
    tail: int = -1
    timestamps: bool = False
    details: bool = False


class Streams:
    def __init__(self, catalog: ContainerCatalog, monitors: MonitorClient, exits: ExitHandler, paths: Paths, events: Events) -> None:
        self._catalog = catalog
        self._monitors = monitors
        self._exits = exits
        self._paths = paths
        self._events = events

    def is_tty(self, ref: str) -> bool:
        return self._catalog.get(ref).value.config.tty

    @asynccontextmanager
    async def attaching(self, ref: str, detach_keys: str = "") -> AsyncIterator[None]:
        """Around taking the client's socket over: refuses what cannot be attached to, opens the streams of what does not run.

        Raises Invalid for keys that are none.

        A container that does not run cannot be started inside the block: its first byte comes after the client's attach."""
        entry = self._catalog.get(ref)
        parse_detach_keys(detach_keys)
        require("attach", entry.value, ref)
        if has_process(entry.state):
            yield
            return
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            await self._exits.wait_for_cleanup(entry)
            if not has_process(entry.state) and not entry.prepared:
                await self._monitors.prepare(entry.id, stdio_spec(entry.value, self._paths.log(entry.id)))
                entry.prepared = True
            yield

    async def attach(self, ref: str, options: AttachOptions, sock_fd: int, initial: bytes = b"") -> None:
        """Give the client its streams; `sock_fd` stays the caller's. Inside `attaching`."""
        entry = self._catalog.get(ref)
        config = entry.value.config
        wanted: AttachOptions = {**options, "stdin": options["stdin"] and config.open_stdin, "framed": options["framed"] and not config.tty}
        await self._monitors.attach(entry.id, wanted, sock_fd, initial)
        self._events.container(entry.value, "attach")

    def check_logs(self, ref: str) -> None:
        """Raise Unsupported when the container's output is not kept."""
        self._log_of(self._catalog.get(ref))

    async def logs(self, ref: str, query: LogQuery, sock_fd: int, *, head: str) -> None:
        """Write `head` and the log, in HTTP chunks, to the client and end its stream; `sock_fd` stays the caller's."""
        entry = self._catalog.get(ref)
        options: LogOptions = {
            "log": self._log_of(entry),
            "follow": query.follow,
            "stdout": query.stdout,
            "stderr": query.stderr,
            "since_ns": query.since,
            "until_ns": query.until,
            "tail": query.tail,
            "timestamps": query.timestamps,
            "details": query.details,
            "framed": not entry.value.config.tty,
            "chunked": True,
            "head": head,
        }
        await self._monitors.logs(entry.id, options, sock_fd)

    async def resize(self, ref: str, height: int, width: int) -> None:
        """Set the size of its terminal; without one nothing happens, as in Docker."""
        entry = self._catalog.get(ref)
        require("resize", entry.value, ref)
        try:
            await self._monitors.of(entry.id).resize(height, width)
        except Conflict:
            return
        self._events.container(entry.value, "resize", height=str(height), width=str(width))

    async def top(self, ref: str, ps_args: str) -> ProcessTable:
        """Its processes, as the host's `ps` would show them."""
        entry = self._catalog.get(ref)
        require("top", entry.value, ref)
        table = process_table(await self._monitors.of(entry.id).pids(), ps_args)
        self._events.container(entry.value, "top")
        return table

    def _log_of(self, entry: ContainerEntry) -> LogSpec:
        spec = log_spec(entry.value, self._paths.log(entry.id))
        if spec is None:
            raise Unsupported(
                "configured logging driver does not support reading",
                reason="log-driver-without-reading",
                hint="use --log-driver json-file",
            )
        return spec
