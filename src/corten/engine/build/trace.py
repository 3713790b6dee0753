"""A build's events as BuildKit's status messages (`client.SolveStatus` of BuildKit), one JSON value for each event.

`corten build` draws its progress from them and prints them for `--progress rawjson`; a gRPC Status call would send the same.
"""

import base64
import time
from datetime import UTC, datetime
from typing import Any

from corten.build.dockerfile.errors import DockerfileError, excerpt
from corten.build.events import BuildEvent, CheckWarning, StepEnded, StepOutput, StepProgress, StepStarted, SubrequestResult
from corten.build.solve import StepFailed
from corten.errors import EngineError
from corten.oci.digest import sha256_digest

Status = dict[str, Any]
TRACE_ID = "corten.build.trace"


class Trace:
    """For one build. `of` is to be called as events come: their times are taken then."""

    def __init__(self, seed: str) -> None:
        """`seed` tells this build's vertices from every other's."""
        self._seed = seed
        self._vertices: dict[str, dict[str, Any]] = {}

    def of(self, event: BuildEvent) -> Status | None:
        match event:
            case StepStarted():
                return self._started(event)
            case CheckWarning():
                return {"warnings": [_warning(event)]}
            case SubrequestResult():
                return {"described": dict(event.value)}
        vertex = self._vertices.get(event.id)
        if vertex is None:
            return None
        match event:
            case StepOutput():
                data = base64.b64encode(event.data).decode()
                return {"logs": [{"vertex": vertex["digest"], "stream": _stream(event), "data": data, "timestamp": _now()}]}
            case StepProgress():
                return {"statuses": [_progress(vertex, event)]}
            case StepEnded():
                vertex["completed"] = _now()
                vertex |= {"cached": True} if event.cached else {}
                vertex |= {"error": event.error} if event.error else {}
                return {"vertexes": [dict(vertex)]}
        return None

    def vertex(self, step_id: str) -> str:
        """The digest that names a step, "" for one that is not shown."""
        return str(self._vertices.get(step_id, {}).get("digest", ""))

    def _started(self, event: StepStarted) -> Status | None:
        if not event.label:
            return None
        digest = sha256_digest(f"{self._seed} {event.id}".encode())
        self._vertices[event.id] = {"digest": digest, "name": event.label, "started": _now()}
        return {"vertexes": [dict(self._vertices[event.id])]}


def failure_details(error: EngineError, trace: Trace, source: str, name: str) -> Status:
    """The error in the stream's last line: the message, the failed vertex, the excerpt of the Dockerfile."""
    found: Status = {"message": error.message}
    if error.hint:
        found["hint"] = error.hint
    if isinstance(error, StepFailed):
        found["vertex"] = trace.vertex(error.step_id)
        found["source"] = excerpt(source, name, error.place.start, error.place.end)
    elif isinstance(error, DockerfileError):
        found["source"] = excerpt(source, name, error.line, error.end)
    return {key: value for key, value in found.items() if value}


def _warning(event: CheckWarning) -> Status:
    short = base64.b64encode(f"{event.rule}: {event.message} (line {event.line})".encode()).decode()
    detail = [base64.b64encode(event.detail.encode()).decode()]
    return {"level": 1, "short": short, "detail": detail, "url": event.url, "rule": event.rule, "message": event.message,
            "line": event.line, "excerpt": event.excerpt}  # fmt: skip


def _progress(vertex: dict[str, Any], event: StepProgress) -> Status:
    now = _now()
    found = {"id": event.what, "vertex": vertex["digest"], "current": event.current, "timestamp": now, "started": vertex["started"]}
    found |= {"total": event.total} if event.total else {}
    return found | ({"completed": now} if event.done else {})


def _stream(event: StepOutput) -> int:
    return 2 if event.stream == "stderr" else 1


def _now() -> str:
    ns = time.time_ns()
    moment = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"
