"""moby.buildkit.v1.Control: Solve and Status."""

from dataclasses import dataclass

from corten.api.buildkit.messages.worker import Timestamp
from corten.http.grpc import protobuf as pb


@dataclass(slots=True)
class Definition:
    """A graph of LLB, which Corten does not run: only whether there is one is looked at."""

    operations: list[bytes] = pb.blobs(1)


@dataclass(slots=True)
class CacheOptionsEntry:
    type: str = pb.text(1)
    attrs: dict[str, str] = pb.text_map(2)


@dataclass(slots=True)
class CacheOptions:
    exports: list[CacheOptionsEntry] = pb.messages(4, lambda: CacheOptionsEntry)
    imports: list[CacheOptionsEntry] = pb.messages(5, lambda: CacheOptionsEntry)


@dataclass(slots=True)
class Exporter:
    type: str = pb.text(1)
    attrs: dict[str, str] = pb.text_map(2)


@dataclass(slots=True)
class SolveRequest:
    """Older clients fill `exporter` and `exporter_attrs`, newer ones both these and `exporters`."""

    ref: str = pb.text(1)
    definition: Definition | None = pb.message(2, lambda: Definition)
    exporter: str = pb.text(3)
    exporter_attrs: dict[str, str] = pb.text_map(4)
    session: str = pb.text(5)
    frontend: str = pb.text(6)
    frontend_attrs: dict[str, str] = pb.text_map(7)
    cache: CacheOptions | None = pb.message(8, lambda: CacheOptions)
    entitlements: list[str] = pb.texts(9)
    frontend_inputs: dict[str, Definition] = pb.message_map(10, lambda: Definition)
    internal: bool = pb.boolean(11)
    source_policy: bytes = pb.blob(12)
    exporters: list[Exporter] = pb.messages(13, lambda: Exporter)

    def outputs(self) -> list[Exporter]:
        older = [Exporter(self.exporter, self.exporter_attrs)] if self.exporter else []
        return self.exporters or older


@dataclass(slots=True)
class SolveResponse:
    exporter_response: dict[str, str] = pb.text_map(1)


@dataclass(slots=True)
class StatusRequest:
    ref: str = pb.text(1)


@dataclass(slots=True)
class Position:
    line: int = pb.integer(1)
    character: int = pb.integer(2)


@dataclass(slots=True)
class Range:
    start: Position | None = pb.message(1, lambda: Position)
    end: Position | None = pb.message(2, lambda: Position)


@dataclass(slots=True)
class SourceInfo:
    filename: str = pb.text(1)
    data: bytes = pb.blob(2)
    language: str = pb.text(4)


@dataclass(slots=True)
class Vertex:
    digest: str = pb.text(1)
    inputs: list[str] = pb.texts(2)
    name: str = pb.text(3)
    cached: bool = pb.boolean(4)
    started: Timestamp | None = pb.message(5, lambda: Timestamp)
    completed: Timestamp | None = pb.message(6, lambda: Timestamp)
    error: str = pb.text(7)


@dataclass(slots=True)
class VertexStatus:
    id: str = pb.text(1)
    vertex: str = pb.text(2)
    name: str = pb.text(3)
    current: int = pb.integer(4)
    total: int = pb.integer(5)
    timestamp: Timestamp | None = pb.message(6, lambda: Timestamp)
    started: Timestamp | None = pb.message(7, lambda: Timestamp)
    completed: Timestamp | None = pb.message(8, lambda: Timestamp)


@dataclass(slots=True)
class VertexLog:
    vertex: str = pb.text(1)
    timestamp: Timestamp | None = pb.message(2, lambda: Timestamp)
    stream: int = pb.integer(3)
    msg: bytes = pb.blob(4)


@dataclass(slots=True)
class VertexWarning:
    vertex: str = pb.text(1)
    level: int = pb.integer(2)
    short: bytes = pb.blob(3)
    detail: list[bytes] = pb.blobs(4)
    url: str = pb.text(5)
    info: SourceInfo | None = pb.message(6, lambda: SourceInfo)
    ranges: list[Range] = pb.messages(7, lambda: Range)


@dataclass(slots=True)
class StatusResponse:
    vertexes: list[Vertex] = pb.messages(1, lambda: Vertex)
    statuses: list[VertexStatus] = pb.messages(2, lambda: VertexStatus)
    logs: list[VertexLog] = pb.messages(3, lambda: VertexLog)
    warnings: list[VertexWarning] = pb.messages(4, lambda: VertexWarning)
