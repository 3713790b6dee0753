"""Answers of the build calls."""

import msgspec

from corten.api.wire import AnswerStruct


class BuildAux(AnswerStruct, frozen=True, kw_only=True):
    id: str


class BuildPrune(AnswerStruct, frozen=True, kw_only=True):
    caches_deleted: list[str] | None
    space_reclaimed: int


class BuildUlimit(msgspec.Struct, frozen=True, rename="pascal"):
    """One of the `ulimits` parameter."""

    name: str
    soft: int
    hard: int
