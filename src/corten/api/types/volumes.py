"""Bodies and answers of the volume calls."""

from msgspec import UNSET, UnsetType

from corten.api.wire import AnswerStruct, WireStruct


class VolumeCreate(WireStruct, frozen=True, kw_only=True):
    name: str | None = None
    driver: str | None = None
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: object = None


class UsageData(AnswerStruct, frozen=True, kw_only=True):
    size: int
    ref_count: int


class VolumeAnswer(AnswerStruct, frozen=True, kw_only=True):
    created_at: str
    driver: str
    labels: dict[str, str] | None
    mountpoint: str
    name: str
    options: dict[str, str] | None
    scope: str = "local"
    usage_data: UsageData | UnsetType = UNSET


class VolumeList(AnswerStruct, frozen=True, kw_only=True):
    volumes: list[VolumeAnswer]
    warnings: list[str] | None = None
