"""What a build tells while it goes on: steps beginning and ending, and their output."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`number` counts a stage's instructions from 1; `total` is how many the whole build has."""

    id: str
    name: str
    stage: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class StepEnded:
    """`layer` is "" when the step made none; `error` "" when it went well."""

    id: str
    cached: bool
    layer: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class StepOutput:
    id: str
    stream: str  # "stdout" or "stderr"
    data: bytes


@dataclass(frozen=True, slots=True)
class Warned:
    """A build check: `rule` is Docker's name for it, `line` 1-based."""

    rule: str
    message: str
    line: int


BuildEvent = StepStarted | StepEnded | StepOutput | Warned
Emit = Callable[[BuildEvent], None]
