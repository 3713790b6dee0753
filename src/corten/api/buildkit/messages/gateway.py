"""moby.buildkit.v1.frontend.LLBBridge: what a client that drives the build itself asks."""

from dataclasses import dataclass

from corten.api.buildkit.messages.solve import CacheOptionsEntry, Definition
from corten.api.buildkit.messages.worker import RpcStatus, WorkerRecord
from corten.http.grpc import protobuf as pb


@dataclass(slots=True)
class Capability:
    id: str = pb.text(1)
    enabled: bool = pb.boolean(2)
    disabled_reason: str = pb.text(4)
    disabled_reason_message: str = pb.text(5)


@dataclass(slots=True)
class PongResponse:
    frontend: list[Capability] = pb.messages(1, lambda: Capability)
    llb: list[Capability] = pb.messages(2, lambda: Capability)
    workers: list[WorkerRecord] = pb.messages(3, lambda: WorkerRecord)


@dataclass(slots=True)
class ResultRef:
    id: str = pb.text(1)


@dataclass(slots=True)
class RefMap:
    refs: dict[str, ResultRef] = pb.message_map(1, lambda: ResultRef)


@dataclass(slots=True)
class Result:
    ref: ResultRef | None = pb.message(3, lambda: ResultRef)
    refs: RefMap | None = pb.message(4, lambda: RefMap)
    metadata: dict[str, bytes] = pb.blob_map(10)


@dataclass(slots=True)
class BridgeSolveRequest:
    definition: Definition | None = pb.message(1, lambda: Definition)
    frontend: str = pb.text(2)
    frontend_opt: dict[str, str] = pb.text_map(3)
    cache_imports: list[CacheOptionsEntry] = pb.messages(12, lambda: CacheOptionsEntry)
    frontend_inputs: dict[str, Definition] = pb.message_map(13, lambda: Definition)
    evaluate: bool = pb.boolean(14)


@dataclass(slots=True)
class BridgeSolveResponse:
    ref: str = pb.text(1)
    result: Result | None = pb.message(3, lambda: Result)


@dataclass(slots=True)
class ReturnRequest:
    result: Result | None = pb.message(1, lambda: Result)
    error: RpcStatus | None = pb.message(2, lambda: RpcStatus)
