"""From entries to what a client is sent: which of them, with what before each, framed or not. Pure."""

from typing import NamedTuple

from corten.monitor.logs.decode import Run
from corten.monitor.logs.timestamp import fixed, to_fixed
from corten.monitor.stdio.frames import STDOUT, FrameHeaders


class Selection(NamedTuple):
    """`since` and `until` are times in the fixed spelling, empty = open; both bounds belong to what is wanted."""

    stdout: bool = True
    stderr: bool = True
    since: bytes = b""
    until: bytes = b""
    timestamps: bool = False
    details: bool = False
    framed: bool = False


def bound(ns: int) -> bytes:
    """A bound for Selection; 0 = open."""
    return fixed(ns).encode() if ns else b""


class Renderer:
    """Renders runs in their order. `is_over` once an entry lay behind `until`: nothing more will come."""

    __slots__ = ("_headers", "_wants", "is_over")

    def __init__(self, selection: Selection) -> None:
        self._wants = selection
        self._headers: dict[tuple[int, int], FrameHeaders] = {}
        self.is_over = False

    def render(self, run: Run) -> bytes:
        """The run as the client sees it, b"" if it is not wanted. One frame for each entry."""
        wants = self._wants
        if not (wants.stdout if run.stream == STDOUT else wants.stderr):
            return b""
        if wants.until and to_fixed(run.time) > wants.until:
            self.is_over = True
            return b""
        if wants.since and to_fixed(run.time) < wants.since:
            return b""
        prefix = self._prefix(run)
        if not wants.framed:
            return (run.ending + prefix).join([prefix + run.texts[0], *run.texts[1:]]) + run.ending
        extra = len(prefix) + len(run.ending)
        headers = self._headers.get((run.stream, extra))
        if headers is None:
            headers = self._headers[run.stream, extra] = FrameHeaders(run.stream, extra)
        if prefix:
            return b"".join([headers[len(t)] + prefix + t + run.ending for t in run.texts])
        return run.ending.join([headers[len(t)] + t for t in run.texts]) + run.ending

    def _prefix(self, run: Run) -> bytes:
        wants = self._wants
        prefix = to_fixed(run.time) + b" " if wants.timestamps else b""
        if wants.details:
            from urllib.parse import quote_plus  # half a megabyte that the monitors do not need

            pairs = [f"{quote_plus(k)}={quote_plus(v)}" for k, v in sorted(run.attrs.items())]
            prefix += ",".join(pairs).encode() + b" "
        return prefix
