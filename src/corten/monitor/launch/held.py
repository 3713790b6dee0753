"""The launcher's side of `keeper`: what one monitor holds, with second copies of all its descriptors."""

import os

from corten.monitor.keeper import Held, TaskRecord
from corten.monitor.values import JsonObject


class HeldTable:
    """Owns the descriptors."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def __bool__(self) -> bool:
        """Whether anything is held that is not over."""
        return any(not record["over"] for record, _ in self._held.values())

    def take(self, note: JsonObject, fds: list[int]) -> bool:
        """Do what a note says; False if it is about something else. Descriptors that are kept are taken out of `fds`."""
        kind, key = note["note"], note.get("key", "")
        if kind == "hold":
            self._hold(key, note["record"], dict(zip(note["roles"], fds, strict=True)))
            fds.clear()
        elif kind == "drop":
            held = self._held.get(key)
            if held is not None and note["role"] in held[1]:
                os.close(held[1].pop(note["role"]))
        elif kind == "over":
            self._close(key)
            self._held[key] = (note["record"], {})
        elif kind == "release":
            self._close(key)
            self._held.pop(key, None)
        else:
            return False
        return True

    def entries(self) -> list[Held]:
        return list(self._held.values())

    def all_fds(self) -> list[int]:
        return [fd for _, fds in self._held.values() for fd in fds.values()]

    def find_pid(self, pid: int) -> TaskRecord | None:
        """Whose process it is; one that is over no longer counts, its number may be another's."""
        return next((record for record, _ in self._held.values() if record["pid"] == pid and not record["over"]), None)

    def find_running(self, container_id: str) -> TaskRecord | None:
        """The container's main process, if it has one that is not over."""
        return next(
            (r for r, _ in self._held.values() if r["id"] == container_id and not r["exec_id"] and r["pid"] and not r["over"]), None
        )

    def close(self) -> None:
        for key in list(self._held):
            self._close(key)
        self._held.clear()

    def _hold(self, key: str, record: TaskRecord, fds: dict[str, int]) -> None:
        before = self._held.get(key, (record, {}))[1]
        for role, fd in fds.items():
            if role in before:
                os.close(before[role])
            before[role] = fd
        self._held[key] = (record, before)

    def _close(self, key: str) -> None:
        held = self._held.get(key)
        if held is not None:
            for fd in held[1].values():
                os.close(fd)
            held[1].clear()
