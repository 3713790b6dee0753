"""Answers of the build calls."""

import msgspec

from corten.api.wire import AnswerStruct


class BuildAux(AnswerStruct, frozen=True, kw_only=True):
    id: str


class BuildUlimit(msgspec.Struct, frozen=True, rename="pascal"):
    """One of the `ulimits` parameter."""

    name: str
    soft: int
    hard: int
