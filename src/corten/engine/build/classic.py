"""A build's events as the lines of Docker's classic builder, which clients without BuildKit read."""

from collections.abc import Sequence

from corten.build.events import BuildEvent, StepEnded, StepOutput, StepStarted
from corten.build.solve import StepFailed
from corten.build.steps.run import RunFailed
from corten.errors import EngineError
from corten.ids import ImageId, short_id

RED, PLAIN = "\x1b[91m", "\x1b[0m"


class ClassicText:
    """Lines for one build; `count` steps are numbered through in the order in which they begin."""

    def __init__(self) -> None:
        self._number = 0
        self._last = ""

    def of(self, event: BuildEvent) -> list[str]:
        match event:
            case StepStarted(total=0):
                return []
            case StepStarted():
                self._number += 1
                return [f"Step {self._number}/{event.total} : {event.name}\n"]
            case StepOutput(stream="stderr"):
                return [f"{RED}{event.data.decode(errors='replace')}{PLAIN}"]
            case StepOutput():
                return [event.data.decode(errors="replace")]
            case StepEnded(error="", layer=layer, cached=True) if layer:
                return [" ---> Using cache\n", f" ---> {short_id(layer)}\n"]
            case StepEnded(error="", layer=layer) if layer:
                return [f" ---> {short_id(layer)}\n"]
        return []

    def end(self, image: ImageId, tags: Sequence[str]) -> list[str]:
        return [f"Successfully built {short_id(image)}\n", *(f"Successfully tagged {tag}\n" for tag in tags)]


def failure(error: EngineError) -> tuple[str, int]:
    """The message and code of `errorDetail`; code 0 = none."""
    if isinstance(error, StepFailed):
        if isinstance(error.cause, RunFailed):
            text = f"The command '{error.cause.command}' returned a non-zero code: {error.cause.status}"
            return text, error.cause.status
        return f"{error.cause.message} (line {error.place.start}: {error.name.splitlines()[0]})", 0
    return error.message, 0
