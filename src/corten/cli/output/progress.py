"""Progress of pulls, pushes, loads and imports: the engine's JSON messages as lines, or as lines that change in place on a terminal."""

import os
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, TextIO

from corten.cli.errors import Failure
from corten.units import human_size

Message = Mapping[str, Any]
BAR_WIDTH = 50
NARROW = 110
"""Columns below which the bar is left out, so that no line wraps."""


def show_progress(messages: Iterable[Message], out: TextIO, *, aux: list[Any] | None = None) -> None:
    """Prints messages until they end. Raises Failure with the engine's error. Values meant for programs are added to `aux`."""
    painter = _Painter(out) if out.isatty() else None
    for message in messages:
        if error := message.get("errorDetail") or message.get("error"):
            raise Failure(str(error.get("message") if isinstance(error, Mapping) else error))
        if "aux" in message:
            if aux is not None:
                aux.append(message["aux"])
            continue
        if painter is not None:
            painter.show(message)
        elif not message.get("progressDetail"):
            out.write(_line(message, "") if "status" in message else str(message.get("stream", "")))
            out.flush()


def _line(message: Message, progress: str) -> str:
    identity = message.get("id")
    prefix = f"{identity}: " if identity else ""
    origin = message.get("from")
    source = f"(from {origin}) " if origin else ""
    return f"{prefix}{source}{message.get('status', '')}{f' {progress}' if progress else ''}\n"


class _Painter:
    """One line per id, changed in place by moving the cursor; other lines are printed below."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: dict[str, int] = {}

    def show(self, message: Message) -> None:
        identity = message.get("id")
        if "stream" in message:
            self._out.write(str(message["stream"]))
        elif not identity:
            self._lines.clear()
            self._out.write(_line(message, "") if not message.get("progressDetail") else f"{message.get('status', '')}\r")
        else:
            self._paint(str(identity), _line(message, bar(message.get("progressDetail") or {}, _columns(self._out))))
        self._out.flush()

    def _paint(self, identity: str, line: str) -> None:
        known = self._lines.get(identity)
        if known is None:
            self._lines[identity] = len(self._lines)
            self._out.write(line)
            return
        up = len(self._lines) - known
        self._out.write(f"\x1b[{up}A\x1b[2K\r{line.rstrip()}\r\x1b[{up}B")


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):
        return 0


def bar(detail: Mapping[str, Any], columns: int) -> str:
    """`[=====>      ]  1.2MB/3.4MB`; without a total only the amount; a unit takes the place of bytes."""
    current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
    if not current and not total:
        return ""
    if unit := detail.get("units"):
        return f"{current}/{total} {unit}" if total else f"{current} {unit}"
    amount = human_size(current)
    if not total:
        return amount
    share = min(current / total, 1.0)
    done = int(share * BAR_WIDTH)
    drawing = "=" * done + ">" + " " * (BAR_WIDTH - done)
    amounts = f"{amount:>8}/{human_size(total)}"
    return f"[{drawing[: BAR_WIDTH + 1]}] {amounts}" if columns >= NARROW else amounts.strip()


def watched(pieces: Iterable[bytes], what: str, out: TextIO) -> Iterator[bytes]:
    """Passes pieces on and tells a terminal how much it was, ten times a second at most."""
    if not out.isatty():
        yield from pieces
        return
    size, shown = 0, 0.0
    for piece in pieces:
        yield piece
        size += len(piece)
        if monotonic() - shown > 0.1:
            shown = monotonic()
            out.write(f"\r\x1b[2K{what}  {human_size(size)}")
            out.flush()
    out.write(f"\r\x1b[2K{what}  {human_size(size)}\n")
    out.flush()
