"""Status messages of a build (`corten.engine.build.trace`) as BuildKit's StatusResponse."""

import base64
from datetime import datetime
from typing import Any

from corten.api.buildkit.messages.solve import (
    Position,
    Range,
    SourceInfo,
    StatusResponse,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from corten.api.buildkit.messages.worker import Timestamp


def status_response(status: dict[str, Any], *, definition: str, source: SourceInfo) -> StatusResponse:
    """`definition` is the vertex that warnings belong to, `source` the Dockerfile."""
    return StatusResponse(
        [_vertex(one) for one in status.get("vertexes", ())],
        [_status(one) for one in status.get("statuses", ())],
        [_log(one) for one in status.get("logs", ())],
        [_warning(one, definition, source) for one in status.get("warnings", ())],
    )


def ranges(first: int, last: int) -> list[Range]:
    return [Range(Position(first), Position(last))]


def _vertex(one: dict[str, Any]) -> Vertex:
    return Vertex(
        digest=one["digest"],
        inputs=list(one.get("inputs", ())),
        name=one["name"],
        cached=bool(one.get("cached")),
        started=_moment(one.get("started")),
        completed=_moment(one.get("completed")),
        error=one.get("error", ""),
    )


def _status(one: dict[str, Any]) -> VertexStatus:
    current, total = one.get("current", 0), one.get("total", 0)
    return VertexStatus(
        id=one["id"],
        vertex=one["vertex"],
        name=one["id"],
        current=current,
        total=0 if total == current else total,  # shown as BuildKit does: "93B", not "93B / 93B"
        timestamp=_moment(one["timestamp"]),
        started=_moment(one.get("started")),
        completed=_moment(one.get("completed")),
    )


def _log(one: dict[str, Any]) -> VertexLog:
    return VertexLog(one["vertex"], _moment(one["timestamp"]), one["stream"], base64.b64decode(one["data"]))


def _warning(one: dict[str, Any], definition: str, source: SourceInfo) -> VertexWarning:
    return VertexWarning(
        vertex=definition,
        level=one["level"],
        short=base64.b64decode(one["short"]),
        detail=[base64.b64decode(text) for text in one["detail"]],
        url=one["url"],
        info=source,
        ranges=ranges(one["line"], one["line"]),
    )


def _moment(text: str | None) -> Timestamp | None:
    """As `trace` writes them: seconds and nine digits, UTC."""
    if text is None:
        return None
    seconds = int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp())
    return Timestamp(seconds, int(text[20:29]))
