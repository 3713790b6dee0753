"""Vertices of a build that are not instructions: loading the definition, exporting the image (`[internal] …`)."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from corten.build.events import Emit, StepEnded, StepProgress, StepStarted
from corten.errors import EngineError


class InternalVertices:
    """`step` yields the step's id; what fails inside ends the step with the error."""

    def __init__(self, emit: Emit, prefix: str = "internal") -> None:
        self._emit = emit
        self._ids = (f"{prefix}-{n}" for n in itertools.count(1))

    @contextmanager
    def step(self, name: str, *, internal: bool = True) -> Iterator[str]:
        step_id = next(self._ids)
        self._emit(StepStarted(step_id, name, label=f"[internal] {name}" if internal else name))
        try:
            yield step_id
        except EngineError as error:
            self._emit(StepEnded(step_id, cached=False, error=error.message))
            raise
        self._emit(StepEnded(step_id, cached=False))

    def progress(self, step_id: str, what: str, size: int) -> None:
        self._emit(StepProgress(step_id, what, size, size, done=True))
