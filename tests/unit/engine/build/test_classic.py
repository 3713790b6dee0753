"""The classic builder's text: stages that are built side by side are told one after the other; what counts as cached."""

import re
from collections.abc import Sequence

import pytest

from corten.build.dockerfile.instructions import SourceLocation
from corten.build.events import BuildEvent, Planned, StageEnded, StepEnded, StepOutput, StepRunning, StepStarted
from corten.build.solve import StepFailed
from corten.engine.build.classic import ClassicText, failure
from corten.errors import NotFound
from corten.ids import ImageId

IMAGE = ImageId("sha256:" + "a" * 64)


def step(index: int, number: int, text: str) -> StepStarted:
    return StepStarted(f"{index}.{number}", text, number=number, total=6, index=index)


def made(index: int, number: int, *, cached: bool = False, layer: str = "layer") -> StepEnded:
    return StepEnded(f"{index}.{number}", cached, layer, state=f"sha256:{index}{number}".ljust(72, "0"))


def told(events: Sequence[BuildEvent], text: ClassicText | None = None) -> list[str]:
    text = text or ClassicText()
    return [re.sub(r"(in|container) [0-9a-f]{12}", r"\1 ID", line) for event in events for line in text.of(event)]


def test_a_later_stage_is_told_when_the_one_before_it_is_over() -> None:
    first: list[BuildEvent] = [step(0, 0, "FROM x AS one"), made(0, 0), step(0, 1, "RUN one"), StepRunning("0.1")]
    second: list[BuildEvent] = [
        step(1, 0, "FROM y"),
        made(1, 0),
        step(1, 1, "RUN two"),
        StepRunning("1.1"),
        StepOutput("1.1", "stdout", b"two\n"),
    ]
    lines = told([Planned((0, 1), 6), *first, *second, StepOutput("0.1", "stdout", b"one\n"), made(0, 1), StageEnded(0)])
    assert [line for line in lines if not line.startswith(" --->")] == [
        "Step 1/6 : FROM x AS one\n",
        "Step 2/6 : RUN one\n",
        "one\n",
        "Step 3/6 : FROM y\n",
        "Step 4/6 : RUN two\n",
        "two\n",
    ]


@pytest.mark.parametrize("cached", [True, False])
def test_an_instruction_without_files_is_cached_when_the_next_step_is(cached: bool) -> None:
    running: list[BuildEvent] = [] if cached else [StepRunning("0.2")]
    events: list[BuildEvent] = [
        step(0, 0, "FROM x"),
        made(0, 0),
        step(0, 1, "ENV A=1"),
        made(0, 1, cached=True, layer=""),
        step(0, 2, "RUN a"),
        *running,
    ]
    lines = told([Planned((0,), 6), *events, made(0, 2, cached=cached)])
    kept = [line for line in lines if not re.match(r" ---> [0-9a-f]{12}", line)]
    ran = [" ---> Running in ID\n", " ---> Removed intermediate container ID\n"]
    how = [" ---> Using cache\n"] if cached else ran
    assert kept == ["Step 1/6 : FROM x\n", "Step 2/6 : ENV A=1\n", *how, "Step 3/6 : RUN a\n", *how]


@pytest.mark.parametrize("is_new", [True, False])
def test_the_last_instructions_are_cached_when_the_image_was_there(is_new: bool) -> None:
    text = ClassicText()
    told([Planned((0,), 6), step(0, 0, "FROM x"), made(0, 0), step(0, 1, "CMD a"), made(0, 1, cached=True, layer=""), StageEnded(0)], text)
    lines = text.finished(IMAGE, is_new=is_new)
    assert (" ---> Using cache\n" in lines) is not is_new
    assert lines[-1] == f" ---> {'a' * 12}\n"


def test_a_failing_from_is_told_with_its_line() -> None:
    text = ClassicText()
    told([Planned((0,), 6)], text)
    error = StepFailed(NotFound("no such image", reason="x"), SourceLocation(1, 1, "FROM nowhere"), "FROM nowhere")
    assert text.failed(error) == ["Step 1/6 : FROM nowhere\n"]
    assert failure(error) == ("no such image", 0)
