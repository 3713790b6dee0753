"""The monitors as the launcher sees them: forked, listened to, replaced when they die, told how their predecessors' processes end."""

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from corten.kernel.process import pidfd_open
from corten.monitor import exits
from corten.monitor.connection import Connection, Fds
from corten.monitor.keeper import TaskRecord, key_of
from corten.monitor.launch.held import HeldTable
from corten.monitor.launch.offspring import fork_child
from corten.monitor.launch.title import Title
from corten.monitor.loop import EPOLLIN, Loop
from corten.monitor.monitor import Monitor
from corten.monitor.runtime import Runtime
from corten.monitor.values import ExitRecord, JsonObject
from corten.monitor.wire import connect, listen

_YOUNG_SECONDS = 1.0
_YOUNG_DEATHS = 5
"""When so many processes of a monitor died this young one after the other, the next one has to wait: what kills them must not spin."""

_PATIENCE_SECONDS = 5.0


class Ground(NamedTuple):
    """What every monitor is made from."""

    loop: Loop
    root: str
    runtime: Runtime
    title: Title


class Ward:
    """One monitor by name, over all processes that are it one after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pidfd = -1
        self.born = 0.0
        self.young_deaths = 0
        self.leaving = False
        self.is_silent = False
        self.held = HeldTable()
        self.orphans: dict[str, JsonObject] = {}
        self.connection: Connection | None = None
        self.listening: socket.socket | None = None

    def hear(self) -> None:
        """Take in what has been said and not yet been read."""
        if self.connection is not None:
            self.connection.read_to_end()

    def tell(self, note: JsonObject) -> None:
        if self.connection is not None:
            self.connection.send(note)


class Wards:
    """All monitors of an exec root. `on_note` hears the notes that are not about what is held, `on_change` of every new process."""

    def __init__(self, ground: Ground, *, on_note: Callable[[Ward, JsonObject], None], on_change: Callable[[], None]) -> None:
        self._ground = ground
        self._on_note = on_note
        self._on_change = on_change
        self._wards: dict[str, Ward] = {}

    def names(self) -> list[str]:
        return list(self._wards)

    def holds_anything(self) -> bool:
        return any(ward.held for ward in self._wards.values())

    def find_running(self, container_id: str) -> TaskRecord | None:
        """The record of a container's live main process."""
        return next((found for ward in self._wards.values() if (found := ward.held.find_running(container_id))), None)

    def spawn(self) -> str:
        """A new monitor's name."""
        number = next(n for n in range(len(self._wards) + 1) if str(n) not in self._wards)
        ward = Ward(str(number))
        ward.listening = listen(self._path(ward.name))
        self._wards[ward.name] = ward
        self._fork(ward)
        return ward.name

    def find_survivors(self) -> None:
        """Take over the monitors of a launcher that died: they tell what they hold, and have their listening sockets to share.

        Returns when they have told, but does not wait long for one that is busy.
        """
        self._ask_survivors()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(ward.is_silent for ward in self._wards.values()) and time.monotonic() < deadline:
            self._ground.loop.run_once(_PATIENCE_SECONDS)

    def _ask_survivors(self) -> None:
        for entry in sorted(os.listdir(os.path.join(self._ground.root, "monitors"))):
            name = entry.removesuffix(".sock")
            try:
                sock = connect(self._path(name))
            except (FileNotFoundError, ConnectionRefusedError):
                os.unlink(self._path(name))
                continue
            ward = self._wards[name] = Ward(name)
            ward.is_silent = True
            self._connect(ward, sock).send({"n": 0, "op": "launcher"})

    def orphan_exited(self, pid: int, code: int) -> bool:
        """A child that is no job has exited (and is still a zombie): see to it that its monitor's successor learns how."""
        ward, record = self._find_pid(pid)
        if record is None:
            for each in list(self._wards.values()):
                each.hear()
            ward, record = self._find_pid(pid)
        if ward is None or record is None:
            return False
        over: ExitRecord = {"exit_code": code, "finished_at": time.time_ns(), "oom_killed": False}
        try:
            exits.save_exit(exits.orphan_path(record["spec"]["bundle"], pid), over)
        except OSError:
            pass  # the note that follows is as good while we live
        note: JsonObject = {"note": "orphan", "id": record["id"], "exec_id": record["exec_id"], "begun": bool(exits.has_begun(pid)), **over}
        ward.orphans[key_of(record["id"], record["exec_id"])] = note
        ward.tell(note)
        return True

    def end_all(self) -> None:
        """End all monitors; they hold nothing."""
        for ward in list(self._wards.values()):
            if ward.pidfd >= 0:
                exits.send_signal(ward.pidfd, signal.SIGTERM)
            self._forget(ward)

    def _find_pid(self, pid: int) -> tuple[Ward | None, TaskRecord | None]:
        for ward in self._wards.values():
            record = ward.held.find_pid(pid)
            if record is not None:
                return ward, record
        return None, None

    def _path(self, name: str) -> str:
        return os.path.join(self._ground.root, "monitors", f"{name}.sock")

    def _connect(self, ward: Ward, sock: socket.socket) -> Connection:
        def heard(_: Connection, message: JsonObject, fds: Fds) -> None:
            self._heard(ward, message, fds)

        def closed(_: Connection) -> None:
            ward.connection = None
            if ward.pidfd < 0:  # a survivor that died before it said who it was
                self._forget(ward)

        connection = ward.connection = Connection(self._ground.loop, sock, on_message=heard, on_closed=closed)
        return connection

    def _watch(self, ward: Ward, pid: int) -> None:
        try:
            ward.pidfd = pidfd_open(pid)
        except ProcessLookupError:
            return  # its connection ends in a moment
        self._ground.loop.add(ward.pidfd, EPOLLIN, lambda _: self._died(ward))

    def _fork(self, ward: Ward) -> None:
        """A process for the ward, with all that is held for it."""
        listening = ward.listening
        assert listening is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        keep = (theirs.fileno(), listening.fileno(), *ward.held.all_fds())
        pid = fork_child(keep, lambda: self._be_monitor(ward, theirs, listening))
        theirs.close()
        connection = self._connect(ward, ours)
        ward.born = time.monotonic()
        self._watch(ward, pid)
        for note in ward.orphans.values():
            connection.send(note)

    def _be_monitor(self, ward: Ward, launcher: socket.socket, listening: socket.socket) -> None:
        self._ground.title.set(exits.MONITOR_NAME, f"{ward.name} {self._ground.root}")
        begun = {key: bool(note["begun"]) for key, note in ward.orphans.items()}
        Monitor(self._ground.runtime, listening=listening, launcher=launcher, held=ward.held.entries(), begun=begun).run()

    def _heard(self, ward: Ward, message: JsonObject, fds: Fds) -> None:
        note = message.get("note")
        if note is None:  # a survivor's answer
            self._watch(ward, message["ok"]["pid"])
            return
        if note in ("over", "release"):
            ward.orphans.pop(message["key"], None)
        if note == "all":
            ward.is_silent = False
        elif note == "goodbye":
            ward.leaving = True
        elif note == "door":
            ward.listening = socket.socket(fileno=fds.pop())
        elif not ward.held.take(message, fds):
            self._on_note(ward, message)

    def _died(self, ward: Ward) -> None:
        loop = self._ground.loop
        ward.hear()
        if ward.connection is not None:
            ward.connection.close()
        loop.close(ward.pidfd)
        ward.pidfd = -1
        if ward.leaving or ward.listening is None:
            self._forget(ward)
            return
        ward.young_deaths = ward.young_deaths + 1 if time.monotonic() - ward.born < _YOUNG_SECONDS else 0
        if ward.young_deaths >= _YOUNG_DEATHS:
            loop.after(_YOUNG_SECONDS, lambda: self._replace(ward))
        else:
            self._replace(ward)

    def _replace(self, ward: Ward) -> None:
        self._fork(ward)
        self._on_change()

    def _forget(self, ward: Ward) -> None:
        if self._wards.pop(ward.name, None) is None:
            return
        ward.held.close()
        if ward.connection is not None:
            ward.connection.close()
        if ward.pidfd >= 0:
            self._ground.loop.close(ward.pidfd)
            ward.pidfd = -1
        if ward.listening is not None:
            ward.listening.close()
        try:
            os.unlink(self._path(ward.name))
        except FileNotFoundError:
            pass
        self._on_change()
