"""moby.buildkit.v1.Control: DiskUsage and Prune."""

from dataclasses import dataclass

from corten.api.buildkit.messages.worker import Timestamp
from corten.http.grpc import protobuf as pb


@dataclass(slots=True)
class PruneRequest:
    """`keep_duration` in ns, the spaces in bytes; 0 for no limit."""

    filter: list[str] = pb.texts(1)
    all: bool = pb.boolean(2)
    keep_duration: int = pb.integer(3)
    reserved_space: int = pb.integer(4)
    max_used_space: int = pb.integer(5)
    min_free_space: int = pb.integer(6)


@dataclass(slots=True)
class DiskUsageRequest:
    filter: list[str] = pb.texts(1)
    age_limit: int = pb.integer(2)


@dataclass(slots=True)
class UsageRecord:
    id: str = pb.text(1)
    mutable: bool = pb.boolean(2)
    in_use: bool = pb.boolean(3)
    size: int = pb.integer(4)
    created: Timestamp | None = pb.message(6, lambda: Timestamp)
    last_used: Timestamp | None = pb.message(7, lambda: Timestamp)
    usage_count: int = pb.integer(8)
    description: str = pb.text(9)
    record_type: str = pb.text(10)
    shared: bool = pb.boolean(11)


@dataclass(slots=True)
class DiskUsageResponse:
    record: list[UsageRecord] = pb.messages(1, lambda: UsageRecord)
