"""Processes that users run inside running containers: create, start, inspect, resize."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from corten.engine.containers.protocols import MonitorClient
from corten.engine.containers.start_errors import exec_failure
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import is_up, require
from corten.engine.values.container import Container
from corten.engine.values.exec import Exec, ExecConfig
from corten.errors import Conflict, EngineError, Invalid, NotFound
from corten.ids import ExecId, new_exec_id
from corten.monitor.events import Exited, LiveContainer
from corten.monitor.stdio.keys import parse_detach_keys
from corten.monitor.values import AttachOptions, JsonObject
from corten.store.db import Database, Migration

MIGRATIONS = (
    Migration(
        "execs",
        1,
        (
            "CREATE TABLE execs (id TEXT PRIMARY KEY, container TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
            "CREATE INDEX execs_by_container ON execs (container)",
        ),
    ),
)
KEPT_NS = 300_000_000_000
"""How long an ended exec can still be asked for its exit code."""

ProcessBuilder = Callable[[Container, ExecConfig], JsonObject]
"""Makes the OCI `process` object of an exec."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Exec).decode


@dataclass(slots=True, eq=False)
class _Session:
    """An exec and, while it starts, those who wait to resize it; `ending` is whoever waits for its exit code.

    One that is not `kept` is in no database and forgotten when it is over."""

    value: Exec
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ending: "asyncio.Future[int] | None" = None
    kept: bool = True


class Execs:
    def __init__(
        self, database: Database, catalog: ContainerCatalog, monitors: MonitorClient, events: Events, build_process: ProcessBuilder
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._monitors = monitors
        self._events = events
        self._build_process = build_process
        self._sessions: dict[str, _Session] = {row[0]: _Session(_decode(row[1])) for row in database.query("SELECT id, body FROM execs")}

    def create(self, ref: str, config: ExecConfig, *, kept: bool = True) -> ExecId:
        """Raises Conflict when the container does not run, Invalid without a command, for keys that are none, for an unknown user.

        `kept` False: known while it runs only, for what the engine itself executes."""
        if not config.cmd:
            raise Invalid("No exec command specified", reason="no-command")
        entry = self._catalog.get(ref)
        require("exec", entry.value, ref)
        self._check(entry.value, config)
        session = _Session(Exec(id=new_exec_id(), container_id=entry.id, config=config), kept=kept)
        if kept:
            self._drop_old(entry.id)
            self._database.execute("INSERT INTO execs VALUES (?, ?, ?)", (session.value.id, entry.id, _encode(session.value)))
        self._sessions[session.value.id] = session
        self._publish(session.value, f"exec_create: {_shown(config)}")
        return session.value.id

    def get(self, exec_id: str) -> Exec:
        return self._session(exec_id).value

    def ending(self, exec_id: str) -> "asyncio.Future[int]":
        """Resolves with its exit code when it is over and its output through. To be asked for before the start."""
        session = self._session(exec_id)
        session.ending = asyncio.get_running_loop().create_future()
        return session.ending

    def is_known(self, exec_id: str) -> bool:
        return exec_id in self._sessions

    def running_in(self, container_id: str) -> list[ExecId]:
        """What inspect shows as ExecIDs."""
        return [s.value.id for s in self._sessions.values() if s.value.container_id == container_id and s.value.running]

    def check_startable(self, exec_id: str) -> None:
        """What forbids a start, before the client's socket is taken over: NotFound, also when its container has ended; Conflict."""
        container = self._catalog.get(self._session(exec_id).value.container_id).value
        if not is_up(container.state):
            raise NotFound(f"No such exec instance: {exec_id}", reason="no-such-exec")
        require("exec", container)

    async def start(
        self, exec_id: str, *, sock_fd: int | None, initial: bytes = b"", console_size: tuple[int, int] = (0, 0), framed: bool | None = None
    ) -> None:
        """Run it with its streams at `sock_fd` (the caller's still), or detached without one; `framed` None: unless it has a terminal.

        Raises what prevented it, with Docker's text; its exit code is then 126 or 127 as a shell would say."""
        session = self._session(exec_id)
        value = session.value
        if value.started:
            verb = "is already running" if value.running else "has already run"
            raise Conflict(f"exec command {value.id} {verb}", reason="exec-started")
        self.check_startable(exec_id)
        size = console_size if any(console_size) else value.config.console_size
        config = replace(value.config, console_size=size)
        self._set(session, replace(value, started=True))
        try:
            process = self._build_process(self._catalog.get(value.container_id).value, config)
            self._publish(value, f"exec_start: {_shown(config)}")
            pid = await self._monitors.exec_start(
                value.container_id, value.id, process, options=_attach_options(config, framed), sock_fd=sock_fd, initial=initial
            )
        except EngineError as error:
            code, failure = exec_failure(error)
            self._set(session, replace(session.value, exit_code=code, ended_at=time.time_ns()), keep=True)
            self._forget_unkept(session)
            raise failure from error
        finally:
            session.begun.set()
        # It may be over already, and noted.
        self._set(session, replace(session.value, pid=pid), keep=session.value.exit_code is not None)

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        """Raises Invalid before it was started, NotFound when it is over. A resize that comes while it starts waits."""
        session = self._session(exec_id)
        container = self._catalog.get(session.value.container_id).value
        if not is_up(container.state):
            raise Conflict(f"container {container.id} is not running", reason="not-running")
        if not session.value.started or (session.begun.is_set() and session.value.pid == 0):
            raise Invalid("exec process is not started", reason="exec-not-started")
        if session.value.pid == 0:
            await session.begun.wait()
        if not session.value.running:
            raise NotFound(f"process does not exist {exec_id}: not found", reason="exec-over")
        await self._monitors.of(session.value.container_id).resize(height, width, exec_id=exec_id)

    def ended(self, exit: Exited) -> None:
        """An exec's process is over."""
        session = self._sessions.get(exit.exec_id or "")
        if session is None or session.value.exit_code is not None:
            return
        self._set(session, replace(session.value, exit_code=exit.exit_code, ended_at=exit.finished_at), keep=True)
        self._publish(session.value, "exec_die", exitCode=str(exit.exit_code))
        self._forget_unkept(session)
        if session.ending is not None and not session.ending.done():
            session.ending.set_result(exit.exit_code)

    def container_ended(self, container_id: str) -> None:
        """Its execs ended with it; those that nobody reported are lost."""
        for session in self._of(container_id):
            if session.value.running:
                self.ended(Exited(session.value.container_id, session.value.id, 137, time.time_ns(), False))

    def container_removed(self, container_id: str) -> None:
        """Forget its execs; part of the caller's transaction."""
        self._database.execute("DELETE FROM execs WHERE container = ?", (container_id,))
        for session in self._of(container_id):
            del self._sessions[session.value.id]

    def adopt(self, container_id: str, live: LiveContainer | None) -> None:
        """At start-up: learn from the monitor what became of the container's execs."""
        for session in self._of(container_id):
            value = session.value
            found = live.execs.get(value.id) if live else None
            session.begun.set()
            if value.exit_code is not None:
                continue
            if found is not None:
                session.value = replace(value, started=True, pid=found.pid)
                if found.exit_code is not None:
                    self.ended(Exited(container_id, value.id, found.exit_code, time.time_ns(), False))
            elif value.started:
                self.ended(Exited(container_id, value.id, 137, time.time_ns(), False))

    def _check(self, container: Container, config: ExecConfig) -> None:
        parse_detach_keys(config.detach_keys)
        if not config.user:
            return
        try:
            self._build_process(container, config)
        except EngineError as error:
            raise Invalid(error.message, reason=error.reason, hint=error.hint) from error

    def _session(self, exec_id: str) -> _Session:
        session = self._sessions.get(exec_id)
        if session is None:
            raise NotFound(f"No such exec instance: {exec_id}", reason="no-such-exec")
        return session

    def _of(self, container_id: str) -> list[_Session]:
        return [s for s in self._sessions.values() if s.value.container_id == container_id]

    def _set(self, session: _Session, value: Exec, *, keep: bool = True) -> None:
        session.value = value
        if keep and session.kept:
            self._database.execute("UPDATE execs SET body = ? WHERE id = ?", (_encode(value), value.id))

    def _forget_unkept(self, session: _Session) -> None:
        if not session.kept:
            self._sessions.pop(session.value.id, None)

    def _drop_old(self, container_id: str) -> None:
        limit = time.time_ns() - KEPT_NS
        old = [s.value.id for s in self._of(container_id) if s.value.exit_code is not None and s.value.ended_at < limit]
        with self._database.transaction() as tx:
            for exec_id in old:
                tx.execute("DELETE FROM execs WHERE id = ?", (exec_id,))
        for exec_id in old:
            del self._sessions[exec_id]

    def _publish(self, value: Exec, action: str, **extra: str) -> None:
        entry = self._catalog.find(value.container_id)
        if entry is not None:
            self._events.container(entry.value, action, execID=value.id, **extra)


def _shown(config: ExecConfig) -> str:
    """The command as Docker's events have it."""
    return f"{config.cmd[0]} {' '.join(config.cmd[1:])}"


def _attach_options(config: ExecConfig, framed: bool | None) -> AttachOptions:
    return {
        "stdin": config.attach_stdin,
        "stdout": config.attach_stdout,
        "stderr": config.attach_stderr,
        "stream": True,
        "logs": False,
        "framed": not config.tty if framed is None else framed,
        "detach_keys": config.detach_keys,
    }
