"""What a monitor tells the launcher so that its own death costs nothing: who is held, with copies of all descriptors.

Notes are sent before the thing they speak of happens (a record and its pipes before there is a process, the pid before the user's
program runs). The launcher connects; when it dies there is none until its successor does, and then everything is said again.
"""

from collections.abc import Iterable
from typing import TypedDict

from corten.monitor.connection import Connection
from corten.monitor.values import LogSpec, StartSpec

MAIN = ""


class TaskRecord(TypedDict):
    """What a successor needs, besides the descriptors, to go on with a process. `exec_id` "" is the container's main process.

    `started`: the user's program is known to run. Without it the process may still be the runtime's own, setting up.
    """

    id: str
    exec_id: str
    tty: bool
    stdin: bool
    stdin_once: bool
    log: LogSpec | None
    spec: StartSpec
    pid: int
    started_at: int
    started: bool
    over: bool


Held = tuple[TaskRecord, dict[str, int]]
"""A record and its descriptors by role."""


def key_of(container_id: str, exec_id: str) -> str:
    return f"{container_id}/{exec_id}"


class Keeper:
    """The line to the launcher, and all that was said on it and still holds."""

    def __init__(self) -> None:
        self._launcher: Connection | None = None
        self._held: dict[str, Held] = {}

    def connected(self, launcher: Connection, *, again: bool = True) -> None:
        """A launcher is there. If it is a new one, say everything `again`."""
        self._launcher = launcher
        if again:
            for key in self._held:
                self._say(key)
            self._note({"note": "all"})

    def held(self) -> list[Held]:
        return list(self._held.values())

    def lost(self, connection: Connection) -> bool:
        """Whether it was the launcher that is gone."""
        if connection is not self._launcher:
            return False
        self._launcher = None
        return True

    def restore(self, held: Iterable[Held]) -> None:
        """What a predecessor had said; the launcher knows it."""
        for record, fds in held:
            self._held[key_of(record["id"], record["exec_id"])] = (record, fds)

    def hold(self, record: TaskRecord, fds: dict[str, int]) -> None:
        """Keep the record (a later one replaces it), and copies of these descriptors, which stay ours."""
        key = key_of(record["id"], record["exec_id"])
        before = self._held.get(key, (record, {}))[1]
        new = {role: fd for role, fd in fds.items() if before.get(role) != fd}
        self._held[key] = (record, before | fds)
        self._note({"note": "hold", "key": key, "record": record, "roles": list(new)}, tuple(new.values()))

    def drop(self, container_id: str, exec_id: str, role: str) -> None:
        """This descriptor is closed."""
        key = key_of(container_id, exec_id)
        if key in self._held and self._held[key][1].pop(role, None) is not None:
            self._note({"note": "drop", "key": key, "role": role})

    def over(self, record: TaskRecord) -> None:
        """The process is over and its status on disk: only the record is still of use."""
        key = key_of(record["id"], record["exec_id"])
        self._held[key] = (record, {})
        self._note({"note": "over", "key": key, "record": record})

    def release(self, container_id: str, exec_id: str) -> None:
        key = key_of(container_id, exec_id)
        if self._held.pop(key, None) is not None:
            self._note({"note": "release", "key": key})

    def compress(self, path: str, inode: int, max_file: int) -> None:
        """Have a rotated file of the log at `path` gzipped; a note with the same values comes back when it is."""
        self._note({"note": "compress", "path": path, "inode": inode, "max_file": max_file})

    def goodbye(self) -> None:
        """We are leaving on purpose."""
        self._note({"note": "goodbye"})

    def _say(self, key: str) -> None:
        record, fds = self._held[key]
        self._note({"note": "hold", "key": key, "record": record, "roles": list(fds)}, tuple(fds.values()))

    def _note(self, message: dict[str, object], fds: tuple[int, ...] = ()) -> None:
        if self._launcher is not None:
            self._launcher.send(message, fds)
