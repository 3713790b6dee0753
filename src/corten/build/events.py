"""Events of a build: steps beginning and ending, their progress and their output.

A step is a vertex of the build's graph. `label` is its name as BuildKit shows it ("[build 2/5] RUN make"); instructions that
make no files have none. Whoever listens (the classic text, the trace of `corten build`, one day BuildKit's Status call) picks
what it shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`number` counts a stage's instructions from 1; `total` is how many the whole build has, 0 for work that is no instruction.

    `index` is the stage's number, -1 for what stands before the first one.
    """

    id: str
    name: str
    stage: str = ""
    number: int = 0
    total: int = 0
    label: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class StepEnded:
    """`layer` is "" when the step made none; `error` "" when it went well. `state` names files and config as they are now."""

    id: str
    cached: bool
    layer: str = ""
    error: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class StepRunning:
    """No cache has the step's result: its process begins."""

    id: str


@dataclass(frozen=True, slots=True)
class Planned:
    """Comes first: which stages are built, and the build arguments that no instruction takes."""

    stages: tuple[int, ...]
    total: int
    unused: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class StageEnded:
    index: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A part of a step: `current` of `total` (0 = unknown) bytes of `what`."""

    id: str
    what: str
    current: int = 0
    total: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class StepOutput:
    id: str
    stream: str  # "stdout" or "stderr"
    data: bytes


@dataclass(frozen=True, slots=True)
class CheckWarning:
    """A build check: `rule` is Docker's name for it, `line` 1-based; `excerpt` shows the place."""

    rule: str
    message: str
    line: int
    excerpt: str = ""
    url: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SubrequestResult:
    """What a call that builds nothing has found out, in BuildKit's form."""

    value: Mapping[str, Any]
    id: str = ""


BuildEvent = StepStarted | StepRunning | StepEnded | StepProgress | StepOutput | CheckWarning | Planned | StageEnded | SubrequestResult
Emit = Callable[[BuildEvent], None]
