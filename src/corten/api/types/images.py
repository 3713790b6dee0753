"""Answers of the image calls."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from corten.api.wire import AnswerStruct, WireStruct
from corten.oci.manifest import PlatformFields


class PlatformQuery(WireStruct, frozen=True, kw_only=True, rename=None):
    """The `platform` query value, JSON."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = field(default="", name="os.version")
    os_features: list[str] | None = field(default=None, name="os.features")


class PlatformAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class DescriptorAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str
    digest: str
    size: int


class ManifestSize(AnswerStruct, frozen=True, kw_only=True):
    content: int
    total: int


class UnpackedSize(AnswerStruct, frozen=True, kw_only=True):
    unpacked: int


class ImageData(AnswerStruct, frozen=True, kw_only=True):
    platform: PlatformAnswer
    containers: list[str]
    size: UnpackedSize


class AttestationData(AnswerStruct, frozen=True, kw_only=True):
    for_: str = field(name="For")


class ManifestSummary(AnswerStruct, frozen=True, kw_only=True):
    id: str
    descriptor: DescriptorAnswer
    available: bool
    kind: str
    size: ManifestSize
    image_data: ImageData | UnsetType = UNSET
    attestation_data: AttestationData | UnsetType = UNSET


class ImageSummary(AnswerStruct, frozen=True, kw_only=True):
    containers: int
    created: int
    id: str = field(name="Id")
    labels: dict[str, str] | None
    parent_id: str = field(name="ParentId")
    repo_digests: list[str]
    repo_tags: list[str]
    shared_size: int
    size: int
    virtual_size: int | UnsetType = UNSET
    manifests: list[ManifestSummary] | UnsetType = UNSET


class GraphDriver(AnswerStruct, frozen=True, kw_only=True):
    data: dict[str, str]
    name: str


class RootFsAnswer(AnswerStruct, frozen=True, kw_only=True):
    type: str
    layers: list[str]


class Metadata(AnswerStruct, frozen=True, kw_only=True):
    last_tag_time: str


class ImageInspect(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str
    comment: str
    created: str | UnsetType = UNSET
    container_config: dict[str, Any] | UnsetType = UNSET
    docker_version: str
    author: str
    architecture: str
    variant: str | UnsetType = UNSET
    os: str = field(name="Os")
    os_version: str | UnsetType = field(default=UNSET, name="OsVersion")
    size: int
    virtual_size: int | UnsetType = UNSET
    graph_driver: GraphDriver
    root_fs: RootFsAnswer = field(name="RootFS")
    metadata: Metadata
    config: dict[str, Any]
    manifests: list[ManifestSummary] | UnsetType = UNSET


class HistoryItem(AnswerStruct, frozen=True, kw_only=True):
    comment: str
    created: int
    created_by: str
    id: str = field(name="Id")
    size: int
    tags: list[str] | None


class DeletedItem(AnswerStruct, frozen=True, kw_only=True, omit_defaults=True):
    untagged: str = ""
    deleted: str = ""


class ProgressDetail(Struct, frozen=True, omit_defaults=True):
    current: int = 0
    total: int = 0


class ErrorDetail(Struct, frozen=True, omit_defaults=True):
    message: str
    code: int = 0


class StreamMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of a progress stream; what is not said is left out."""

    stream: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    progress_detail: ProgressDetail | UnsetType = UNSET
    progress: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    error_detail: ErrorDetail | UnsetType = UNSET
    error: str | UnsetType = UNSET
    aux: Any = UNSET


class CommitAnswer(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")


class SearchHit(Struct, frozen=True, kw_only=True):
    star_count: int
    is_official: bool
    name: str
    is_automated: bool = False
    description: str


class DistributionAnswer(AnswerStruct, frozen=True, kw_only=True):
    descriptor: DescriptorAnswer
    platforms: Sequence[PlatformFields]


class FaultAnswer(AnswerStruct, frozen=True, kw_only=True):
    """`kind`: missing, changed, extra, or record (what describes the layer)."""

    kind: str
    path: str
    what: str


class VerifiedAnswer(AnswerStruct, frozen=True, kw_only=True):
    """`state`: whole, damaged or repaired. `size` is what was read, in bytes."""

    layer: str
    images: list[str]
    state: str
    files: int
    size: int
    faults: list[FaultAnswer]
    origin: str
    problem: str
    hint: str
