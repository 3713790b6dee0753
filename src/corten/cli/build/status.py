"""The progress of a build, from the engine's status messages: vertices with their logs, warnings, the error."""

from collections.abc import Mapping
from typing import Any

Status = Mapping[str, Any]
KEPT_LINES = 200
_EPOCH = 719469  # the day of 1970-01-01, counted from the first of March of the year 0


class Vertex:
    """One step. Times are seconds since the epoch."""

    __slots__ = ("cached", "completed", "error", "lines", "name", "number", "open_line", "started", "statuses")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.started = self.completed = 0.0
        self.cached = False
        self.error = ""
        self.lines: list[str] = []
        self.open_line = ""
        self.statuses: dict[str, str] = {}

    def seconds(self, now: float) -> float:
        return max(0.0, (self.completed or now) - self.started)


class SolveStatus:
    """`take` returns the vertices that changed, with the lines that are new."""

    def __init__(self) -> None:
        self.vertices: dict[str, Vertex] = {}
        self.warnings: list[Status] = []
        self.failure: Status = {}
        self.described: Status = {}

    def take(self, status: Status) -> list[tuple[Vertex, list[str]]]:
        self.failure = status.get("error") or self.failure
        self.warnings += status.get("warnings") or ()
        self.described = status.get("described") or self.described
        changed: list[tuple[Vertex, list[str]]] = []
        for fields in status.get("vertexes") or ():
            changed.append((self._vertex(fields), []))
        for fields in status.get("statuses") or ():
            vertex = self.vertices[fields["vertex"]]
            line = _progress(fields)
            vertex.statuses[str(fields["id"])] = line
            changed.append((vertex, [line] if fields.get("completed") else []))
        for fields in status.get("logs") or ():
            changed.append(self._log(fields))
        return changed

    def _vertex(self, fields: Status) -> Vertex:
        vertex = self.vertices.get(fields["digest"])
        if vertex is None:
            vertex = self.vertices[fields["digest"]] = Vertex(len(self.vertices) + 1, str(fields["name"]))
        vertex.started = _moment(fields.get("started"))
        vertex.completed = _moment(fields.get("completed"))
        vertex.cached = bool(fields.get("cached"))
        vertex.error = str(fields.get("error") or "")
        return vertex

    def _log(self, fields: Status) -> tuple[Vertex, list[str]]:
        """Whole lines only; the rest waits for its end."""
        from binascii import a2b_base64

        vertex = self.vertices[fields["vertex"]]
        text = vertex.open_line + a2b_base64(fields["data"]).decode(errors="replace")
        *lines, vertex.open_line = text.replace("\r\n", "\n").split("\n")
        at = _moment(fields.get("timestamp")) - vertex.started
        new = [f"{at:.3f} {line.rpartition(chr(13))[2]}" for line in lines]
        vertex.lines = [*vertex.lines, *new][-KEPT_LINES:]
        return vertex, new


def _progress(fields: Status) -> str:
    from corten.units import human_size

    current, total = int(fields.get("current") or 0), int(fields.get("total") or 0)
    amount = human_size(current, 4) if current else ""
    if total and current != total:
        amount += f" / {human_size(total, 4)}"
    started, ended = _moment(fields.get("started")), _moment(fields.get("completed"))
    took = f" {ended - started:.1f}s done" if ended - started >= 0.05 else " done" if ended else ""
    return f"{fields['id']}{f': {amount}' if amount else ''}{took}"


def _moment(text: Any) -> float:
    """RFC 3339 in UTC. By hand: `datetime` would be two of the milliseconds in which the program starts."""
    if not text:
        return 0.0
    date, _, clock = str(text).rstrip("Z").partition("T")
    year, month, day = map(int, date.split("-"))
    hours, minutes, seconds = clock.split(":")
    year, month = (year, month) if month > 2 else (year - 1, month + 12)  # a year that begins in March ends with its leap day
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - _EPOCH
    return days * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
