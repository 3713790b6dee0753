"""Names of vertices as BuildKit shows them: `[build 2/5] RUN make`. Counted are the instructions that make files, and FROM of an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corten.build.dockerfile import instructions as ins
from corten.build.imagestate import ImageState

COUNTED = (ins.Run, ins.Copy, ins.Workdir)


@dataclass(slots=True)
class VertexNames:
    """One stage's. `stage` is "" in a build of one stage; `total` is known when the triggers of the base are."""

    stage: str
    total: int = 0
    _number: int = 0

    def next(self, text: str) -> str:
        self._number += 1
        width = len(str(self.total))
        return f"[{self.stage + ' ' if self.stage else ''}{self._number:>{width}}/{self.total}] {text}"


def stage_vertex_names(stage: ins.Stage, file: ins.Dockerfile, is_stage: Callable[[str], bool]) -> VertexNames:
    """`is_stage` tells a stage's name from an image's."""
    single = len(file.stages) == 1 and not any(_comes_from_elsewhere(step, is_stage) for step in stage.steps)
    return VertexNames("" if single else stage.name or f"stage-{stage.index}")


def counted(steps: Sequence[ins.Instruction], *, from_image: bool) -> int:
    return int(from_image) + sum(isinstance(step, COUNTED) for step in steps)


def shown(step: ins.Instruction, state: ImageState) -> str:
    """The instruction with the keyword in capitals and known variables replaced."""
    keyword, space, rest = step.place.text.partition(" ")
    text = state.expander().shown(f"{keyword.upper()}{space}{rest}")
    heredocs = step.heredocs if isinstance(step, ins.Run) else ()
    if heredocs:
        first, *more = heredocs[0].content.strip().split("\n")
        text += f" ({first}{'...' if more else ''})"
    return text


def _comes_from_elsewhere(step: ins.Instruction, is_stage: Callable[[str], bool]) -> bool:
    if isinstance(step, ins.Run):
        return bool(step.mounts)
    return isinstance(step, ins.Copy) and bool(step.from_) and not is_stage(step.from_)
