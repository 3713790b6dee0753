"""Answers of the build calls."""

import msgspec

from corten.api.wire import AnswerStruct


class BuildAux(AnswerStruct, frozen=True, kw_only=True):
    """`new` is Corten's, for a build whose result goes elsewhere: there was no such image before; `provenance`, too."""

    id: str
    new: bool | msgspec.UnsetType = msgspec.UNSET
    provenance: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class BuildUlimit(msgspec.Struct, frozen=True, rename="pascal"):
    """One of the `ulimits` parameter."""

    name: str
    soft: int
    hard: int


class CacheMountAnswer(AnswerStruct, frozen=True, kw_only=True):
    """Times are seconds since the epoch, sizes bytes."""

    id: str
    size: int
    quota: int
    created: int
    last_used: int
    uses: int
    in_use: bool
    containers: list[str]
    download: bool


class CacheMountFreed(AnswerStruct, frozen=True, kw_only=True):
    space_reclaimed: int


class DirectoryDescriptorHeader(msgspec.Struct, frozen=True):
    """A directory that the client has open as `fd`."""

    fd: int
    device: int
    inode: int


class LocalDirectoriesHeader(msgspec.Struct, frozen=True):
    """X-Corten-Folders: the context and the named ones, on the machine of that boot id."""

    boot: str
    context: DirectoryDescriptorHeader | None = None
    named: dict[str, DirectoryDescriptorHeader] = {}
