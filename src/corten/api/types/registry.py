"""Bodies and answers of the calls about registries."""

from collections.abc import Sequence

from msgspec import Struct, field

from corten.api.types.images import DescriptorAnswer
from corten.api.wire import AnswerStruct, WireStruct
from corten.oci.manifest import PlatformFields


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


class SearchHit(Struct, frozen=True, kw_only=True):
    star_count: int
    is_official: bool
    name: str
    is_automated: bool = False
    description: str


class DistributionAnswer(AnswerStruct, frozen=True, kw_only=True):
    descriptor: DescriptorAnswer
    platforms: Sequence[PlatformFields]
