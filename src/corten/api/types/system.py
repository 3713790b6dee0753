"""Answers of the system calls: `/version` and `/info`."""

from msgspec import field

from corten.api.wire import AnswerStruct


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
