"""Bodies and answers of the system calls: `/version`, `/info`, `/auth`."""

from msgspec import UNSET, UnsetType, field

from corten.api.types.containers import ContainerSummary
from corten.api.types.images import ImageSummary
from corten.api.types.volumes import VolumeAnswer
from corten.api.wire import AnswerStruct, WireStruct


class PlatformName(AnswerStruct, frozen=True, kw_only=True):
    name: str


class Component(AnswerStruct, frozen=True, kw_only=True):
    name: str
    version: str
    details: dict[str, str]


class VersionAnswer(AnswerStruct, frozen=True, kw_only=True):
    platform: PlatformName
    components: list[Component]
    version: str
    api_version: str = field(name="ApiVersion")
    min_api_version: str = field(name="MinAPIVersion")
    git_commit: str = ""
    go_version: str = ""
    os: str = field(name="Os", default="linux")
    arch: str
    kernel_version: str
    build_time: str = ""


class BuildCacheItem(AnswerStruct, frozen=True, kw_only=True):
    """One step's result, or a cache mount. Moments are RFC 3339, `size` bytes; `shared` means that an image has the layer too."""

    id: str
    type: str
    description: str
    in_use: bool
    shared: bool
    size: int
    created_at: str
    last_used_at: str
    usage_count: int


class DiskUsage(AnswerStruct, frozen=True, kw_only=True):
    """`/system/df`. Sizes are bytes; what was not asked for is null."""

    layers_size: int
    images: list[ImageSummary] | None
    containers: list[ContainerSummary] | None
    volumes: list[VolumeAnswer] | None
    build_cache: list[BuildCacheItem] | None
    builder_size: int | UnsetType = UNSET


class AuthConfig(WireStruct, frozen=True, kw_only=True, rename="lower"):
    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    server_address: str = field(default="", name="serveraddress")
    identity_token: str = field(default="", name="identitytoken")
    registry_token: str = field(default="", name="registrytoken")


class AuthAnswer(AnswerStruct, frozen=True, kw_only=True):
    identity_token: str
    status: str
