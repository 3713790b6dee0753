"""A monitor process: up to sixteen containers on one epoll loop, asked by the daemon, backed by the launcher.

Everything it holds the launcher holds too (see `keeper`), so it may be killed at any time: a successor is forked in its place, with
the same listening socket, and goes on.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterable

from corten.errors import Conflict, NotFound
from corten.monitor import exits
from corten.monitor.connection import Connection, Door, Fds, Request, handle
from corten.monitor.container import Container
from corten.monitor.keeper import Held, Keeper, TaskRecord, key_of
from corten.monitor.logs.rotation import swap_compressed
from corten.monitor.loop import Loop
from corten.monitor.reports import Services
from corten.monitor.runtime import Runtime
from corten.monitor.values import JsonObject


class Monitor:
    """Serves `listening`; `launcher` is the socket to the launcher that forked it."""

    def __init__(
        self, runtime: Runtime, *, listening: socket.socket, launcher: socket.socket, held: Iterable[Held], begun: dict[str, bool]
    ) -> None:
        """`held` is what a predecessor had, its descriptors ours now; `begun` by key, of processes that are over already, whether

        they had come to the user's program.
        """
        self._loop = Loop()
        self._runtime = runtime
        self._keeper = Keeper()
        self._services = Services(self._loop, runtime, self._keeper, self._announce)
        self._containers: dict[str, Container] = {}
        self._daemons: list[Connection] = []
        self._connections: list[Connection] = []
        self._door = Door(self._loop, listening, self._connect)
        self._operations = self._make_operations()
        self._keeper.restore(held)
        self._keeper.connected(self._connect(launcher), again=False)
        for record, fds in self._keeper.held():
            self._restore((record, dict(fds)), begun.get(key_of(record["id"], record["exec_id"]), False))

    def run(self) -> None:
        """Until it retires."""
        self._loop.run()

    def _make_operations(self) -> dict[str, Callable[[Request], None]]:
        return {
            "hello": self._hello,
            "prepare": self._prepare,
            "start": self._start,
            "attach": self._attach,
            "exec": self._exec,
            "resize": self._resize,
            "kill": self._kill,
            "mark": self._mark,
            "update": self._update,
            "pids": self._pids,
            "stats": self._stats,
            "forget": self._forget,
            "retire": self._retire,
            "launcher": self._new_launcher,
        }

    # Connections

    def _connect(self, sock: socket.socket) -> Connection:
        connection = Connection(self._loop, sock, on_message=self._heard, on_closed=self._closed)
        self._connections.append(connection)
        return connection

    def _heard(self, connection: Connection, message: JsonObject, fds: Fds) -> None:
        if "op" in message:
            handle(Request(connection, message, fds), self._operations)
        elif message.get("note") == "orphan":
            container = self._containers.get(message["id"])
            if container is not None:
                container.orphan_exited(message["exec_id"], message["exit_code"], message["finished_at"])
        elif message.get("note") == "compressed":
            swap_compressed(message["path"], message["inode"], message["max_file"])

    def _closed(self, connection: Connection) -> None:
        self._connections.remove(connection)
        if connection in self._daemons:
            self._daemons.remove(connection)
        self._keeper.lost(connection)

    def _announce(self, event: str, container_id: str, values: JsonObject) -> None:
        container = self._containers.get(container_id)
        state = {"state": container.state()} if container is not None else {}
        for daemon in self._daemons:
            daemon.send({"event": event, "id": container_id} | values | state)

    # Operations

    def _hello(self, request: Request) -> None:
        """A daemon: it gets all states, and from now on all events."""
        self._daemons.append(request.connection)
        request.answer({"containers": [c.state() for c in self._containers.values()]})

    def _prepare(self, request: Request) -> None:
        container = self._container(request.arguments["id"])
        try:
            container.prepare(request.arguments["stdio"])
        except OSError:
            self._drop(container)
            raise
        request.answer({"state": container.state()})

    def _start(self, request: Request) -> None:
        container = self._container(request.arguments["id"])
        try:
            container.start(request.arguments["spec"], request.arguments["stdio"])
        finally:
            if not container.is_running:
                self._drop_unless_over(container)
        state = container.state()
        request.answer({"pid": state["pid"], "started_at": state["started_at"], "state": state})

    def _attach(self, request: Request) -> None:
        request.claim()
        arguments = request.arguments
        self._get(request).attach(request.fds[0], arguments["options"], bytes.fromhex(arguments["initial"]))
        request.fds.pop()
        request.answer()

    def _exec(self, request: Request) -> None:
        request.claim()
        arguments = request.arguments
        container = self._get(request)
        sock_fd = request.fds[0] if request.fds else None
        initial = bytes.fromhex(arguments["initial"])
        pid = container.execute(arguments["exec_id"], arguments["process"], arguments["options"], sock_fd, initial)
        request.fds.clear()
        request.answer({"pid": pid, "state": container.state()})

    def _resize(self, request: Request) -> None:
        height, width = request.arguments["size"]
        self._get(request).resize(request.arguments["exec_id"], height, width)
        request.answer()

    def _kill(self, request: Request) -> None:
        arguments = request.arguments
        container = self._get(request)
        if arguments["all"]:
            self._runtime.kill_all(container.id, container.state_root, arguments["signal"])
        else:
            container.signal(arguments["exec_id"], arguments["signal"])
        request.answer()

    def _mark(self, request: Request) -> None:
        container = self._get(request)
        container.paused = request.arguments["paused"]
        request.answer({"state": container.state()})

    def _update(self, request: Request) -> None:
        container = self._get(request)
        self._runtime.update(container.id, container.state_root, request.arguments["resources"])
        request.answer()

    def _pids(self, request: Request) -> None:
        container = self._get(request)
        request.answer({"pids": self._runtime.pids(container.id, container.state_root)})

    def _stats(self, request: Request) -> None:
        container = self._get(request)
        request.answer(self._runtime.stats(container.id, container.state_root))

    def _forget(self, request: Request) -> None:
        container = self._containers.get(request.arguments["id"])
        if container is not None:
            if container.is_running:
                raise Conflict(f"container {container.id} is running", reason="running")
            self._drop(container)
        request.answer()

    def _retire(self, request: Request) -> None:
        """Leave for good, if nobody needs us: no container, and no client that still reads what a forgotten one said."""
        if self._containers or self._loop.watched > 1 + len(self._connections):
            raise Conflict("this monitor is in use", reason="in-use")
        self._keeper.goodbye()
        request.answer()
        self._loop.stop()

    def _new_launcher(self, request: Request) -> None:
        """The asker is the launcher now, its predecessor dead: it gets our listening socket, and all that we hold."""
        request.answer({"pid": os.getpid()})
        request.connection.send({"note": "door"}, (self._door.sock.fileno(),))
        self._keeper.connected(request.connection)

    # Containers

    def _restore(self, held: Held, begun: bool) -> None:
        """Go on with a predecessor's process, unless it had not come to the user's program: then its start has failed."""
        record, fds = held
        if record["started"] or (record["pid"] and (begun or exits.has_begun(record["pid"]))):
            known: TaskRecord = {**record, "started": True}
            self._keeper.hold(known, {})
            self._container(record["id"]).restore((known, fds))
            return
        if "pidfd" in fds:
            exits.send_signal(fds["pidfd"], signal.SIGKILL)
        self._keeper.release(record["id"], record["exec_id"])
        for fd in fds.values():
            os.close(fd)

    def _container(self, container_id: str) -> Container:
        container = self._containers.get(container_id)
        if container is None:
            container = self._containers[container_id] = Container(self._services, container_id)
        return container

    def _get(self, request: Request) -> Container:
        container = self._containers.get(request.arguments["id"])
        if container is None:
            raise NotFound(f"container {request.arguments['id']} is not running", reason="not-live")
        return container

    def _drop(self, container: Container) -> None:
        container.close()
        self._containers.pop(container.id, None)

    def _drop_unless_over(self, container: Container) -> None:
        """After a start that failed there is nothing left; one that was refused because it had run already is left alone."""
        if not container.state()["pid"]:
            self._drop(container)
