"""Answers of `/corten/images/verify`: one line of JSON for each layer."""

from corten.api.wire import AnswerStruct


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
