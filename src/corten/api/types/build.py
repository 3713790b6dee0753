"""Answers of the build calls."""

from corten.api.wire import AnswerStruct


class BuildAux(AnswerStruct, frozen=True, kw_only=True):
    id: str


class BuildPrune(AnswerStruct, frozen=True, kw_only=True):
    caches_deleted: list[str] | None
    space_reclaimed: int
