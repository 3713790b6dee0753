"""Displays of a build's progress (`--progress`): as lines (plain), in place on a terminal (tty), as JSON (rawjson), or none (quiet)."""

import json
import os
import time
from collections.abc import Callable
from typing import TextIO

from corten.cli.build.status import SolveStatus, Status, Vertex
from corten.cli.errors import Failure

KINDS = ("auto", "none", "plain", "quiet", "rawjson", "tty")
LOG_LINES = 6
REDRAW_SECONDS = 0.1
Display = Callable[[Status | None], None]
"""Called with each status message, and with None at the end."""


def make_display(kind: str, progress: SolveStatus, out: TextIO) -> Display:
    """Raises Failure for a kind that is not there."""
    if kind not in KINDS:
        raise Failure(f"invalid progress mode {kind}: one of {', '.join(KINDS)}")
    if kind == "auto":
        kind = "tty" if out.isatty() else "plain"
    if kind == "tty" and not out.isatty():
        raise Failure("failed to get console: provided file is not a console")
    drawers: dict[str, Callable[[SolveStatus, TextIO], Display]] = {"plain": Plain, "tty": Terminal, "rawjson": RawJson}
    return drawers.get(kind, Quiet)(progress, out)


class Quiet:
    def __init__(self, progress: SolveStatus, out: TextIO) -> None:
        self._board = progress

    def __call__(self, status: Status | None) -> None:
        if status is not None:
            self._board.take(status)


class RawJson:
    """Each message as it came: BuildKit's SolveStatus, one value a line."""

    def __init__(self, progress: SolveStatus, out: TextIO) -> None:
        self._board = progress
        self._out = out

    def __call__(self, status: Status | None) -> None:
        if status is None:
            return
        self._board.take(status)
        if "error" not in status:
            self._out.write(json.dumps(status, separators=(",", ":")) + "\n")
            self._out.flush()


class Plain:
    """Steps take turns; each turn begins with the step's name."""

    def __init__(self, progress: SolveStatus, out: TextIO) -> None:
        self._board = progress
        self._out = out
        self._current: Vertex | None = None
        out.write("#0 building with Corten\n")

    def __call__(self, status: Status | None) -> None:
        if status is None:
            return
        for vertex, lines in self._board.take(status):
            ended = bool(vertex.completed)
            if vertex is self._current and not lines and not ended:
                continue
            self._turn_to(vertex)
            for line in lines:
                self._out.write(f"#{vertex.number} {line}\n")
            if ended:
                self._end(vertex)
        self._out.flush()

    def _turn_to(self, vertex: Vertex) -> None:
        if vertex is not self._current:
            self._out.write(f"\n#{vertex.number} {vertex.name}\n")
            self._current = vertex

    def _end(self, vertex: Vertex) -> None:
        if vertex.open_line:
            self._out.write(f"#{vertex.number} {vertex.seconds(0):.3f} {vertex.open_line}\n")
            vertex.lines.append(f"{vertex.seconds(0):.3f} {vertex.open_line}")
            vertex.open_line = ""
        if vertex.error:
            self._out.write(f"#{vertex.number} ERROR: {vertex.error}\n")
        else:
            self._out.write(f"#{vertex.number} {'CACHED' if vertex.cached else f'DONE {vertex.seconds(0):.1f}s'}\n")
        self._current = None


class Terminal:
    """The whole board in place: a head line, a line for each step with its time, the last lines of those that run."""

    def __init__(self, progress: SolveStatus, out: TextIO) -> None:
        self._board = progress
        self._out = out
        self._begun = time.time()
        self._drawn = 0
        self._last = 0.0

    def __call__(self, status: Status | None) -> None:
        if status is not None:
            self._board.take(status)
            if time.time() - self._last < REDRAW_SECONDS:
                return
        self._last = time.time()
        self._draw(finished=status is None)

    def _draw(self, *, finished: bool) -> None:
        columns, rows = _size(self._out)
        lines = self._lines(columns, rows, finished=finished)
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self._drawn = len(lines)
        self._out.flush()

    def _lines(self, columns: int, rows: int, *, finished: bool) -> list[str]:
        vertices = list(self._board.vertices.values())
        done = sum(bool(v.completed) for v in vertices)
        word = " FINISHED" if finished else ""
        head = f"[+] Building {time.time() - self._begun:.1f}s ({done}/{len(vertices)}){word}"
        body: list[str] = []
        for vertex in vertices:
            body += _vertex_lines(vertex, columns, finished=finished)
        return [head[:columns], *(body if finished else body[-(rows - 2) :])]


def _vertex_lines(vertex: Vertex, columns: int, *, finished: bool) -> list[str]:
    mark = "CACHED " if vertex.cached else "ERROR " if vertex.error else ""
    took = f"{vertex.seconds(time.time()):.1f}s"
    room = max(10, columns - len(took) - 5)
    text = f"{mark}{vertex.name.splitlines()[0] if vertex.name else ''}"
    colour = "\x1b[31m" if vertex.error else "\x1b[34m" if vertex.completed else ""
    lines = [f"{colour} => {text[:room]:<{room}} {took}{colour and chr(27) + '[0m'}"]
    if not vertex.completed and not finished:
        lines += [f" => => {status[: columns - 7]}" for status in vertex.statuses.values()]
        lines += [f"\x1b[2m => => # {line.partition(' ')[2][: columns - 9]}\x1b[0m" for line in vertex.lines[-LOG_LINES:]]
    return lines


def _size(out: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        return 80, 24
    return max(20, size.columns), max(5, size.lines)
