"""moby.buildkit.v1.types, google.protobuf and google.rpc: what several services share."""

from dataclasses import dataclass

from corten.http.grpc import protobuf as pb


@dataclass(slots=True)
class Empty:
    pass


@dataclass(slots=True)
class Timestamp:
    seconds: int = pb.integer(1)
    nanos: int = pb.integer(2)

    @classmethod
    def of(cls, ns: int) -> "Timestamp":
        return cls(ns // 10**9, ns % 10**9)


@dataclass(slots=True)
class AnyMessage:
    type_url: str = pb.text(1)
    value: bytes = pb.blob(2)


@dataclass(slots=True)
class RpcStatus:
    code: int = pb.integer(1)
    message: str = pb.text(2)
    details: list[AnyMessage] = pb.messages(3, lambda: AnyMessage)


@dataclass(slots=True)
class PlatformMessage:
    architecture: str = pb.text(1)
    os: str = pb.text(2)
    variant: str = pb.text(3)


@dataclass(slots=True)
class BuildkitVersion:
    package: str = pb.text(1)
    version: str = pb.text(2)
    revision: str = pb.text(3)
    dockerfile_version: str = pb.text(4)


@dataclass(slots=True)
class WorkerRecord:
    id: str = pb.text(1)
    labels: dict[str, str] = pb.text_map(2)
    platforms: list[PlatformMessage] = pb.messages(3, lambda: PlatformMessage)
    buildkit_version: BuildkitVersion | None = pb.message(5, lambda: BuildkitVersion)


@dataclass(slots=True)
class ListWorkersResponse:
    record: list[WorkerRecord] = pb.messages(1, lambda: WorkerRecord)


@dataclass(slots=True)
class InfoResponse:
    buildkit_version: BuildkitVersion | None = pb.message(1, lambda: BuildkitVersion)


@dataclass(slots=True)
class ListWorkersRequest:
    filter: list[str] = pb.texts(1)
