"""A build's events as the lines of Docker's classic builder, which clients without BuildKit read.

Stages are built side by side and told one after the other, in the file's order. Docker makes an image of every instruction; here
most make none, so that three things are filled in: the container and the image that a line names are only names, except the last
image; and whether an instruction that makes no files counts as cached follows from what comes after it.
"""

import posixpath
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from corten.build.dockerfile.parser import NO_INSTRUCTIONS
from corten.build.events import BuildEvent, CheckWarning, Planned, StageEnded, StepEnded, StepOutput, StepRunning, StepStarted
from corten.build.solve import StepFailed
from corten.build.steps.run import RunFailed
from corten.errors import EngineError, Invalid
from corten.ids import ImageId, random_hex64, short_id

RED, PLAIN = "\x1b[91m", "\x1b[0m"
_NO_CONTAINER = frozenset({"FROM", "COPY", "ADD"})


def keyword(step: StepStarted) -> str:
    return step.name.partition(" ")[0].upper()


class ClassicText:
    """For one build. `remove`: containers of steps go (`rm=1`). `no_cache`: nothing is taken from the cache."""

    def __init__(self, *, remove: bool = True, no_cache: bool = False) -> None:
        self._plan = Planned((), 0)
        self._teller = _LineWriter(remove, no_cache)
        self._stages: dict[str, int] = {}
        self._waiting: dict[int, deque[BuildEvent]] = {}
        self._turn = 0

    def of(self, event: BuildEvent) -> list[str]:
        match event:
            case Planned():
                self._plan = event
                return []
            case StepStarted(total=0) | CheckWarning():
                return []
            case StepStarted(index=-1):
                return list(self._teller.of(event))
            case StepStarted():
                self._stages[event.id] = event.index
            case StageEnded():
                self._waiting.setdefault(event.index, deque()).append(event)
                return self._told()
        if event.id not in self._stages:
            return []
        self._waiting.setdefault(self._stages[event.id], deque()).append(event)
        return self._told()

    def finished(self, image: ImageId, *, is_new: bool) -> list[str]:
        """The rest of the steps; `is_new`: there was no such image before."""
        return list(self._teller.end(short_id(image), is_new=is_new))

    def end(self, image: ImageId, tags: Sequence[str]) -> list[str]:
        return [
            *([f"[Warning] One or more build-args [{' '.join(self._plan.unused)}] were not consumed\n"] if self._plan.unused else ()),
            f"Successfully built {short_id(image)}\n",
            *(f"Successfully tagged {tag}\n" for tag in tags),
        ]

    def failed(self, error: EngineError) -> list[str]:
        """What is still to be told before the error: the steps before it, and a FROM that led to nothing."""
        left = [event for index in self._plan.stages[self._turn :] for event in self._waiting.get(index, ())]
        lines = [line for event in left for line in self._teller.of(event)]
        if isinstance(error, StepFailed) and error.place.text[:4].upper() == "FROM":
            lines += self._teller.of(StepStarted("", error.place.text, total=self._plan.total))
        return [*lines, *self._teller.stop()]

    def _told(self) -> list[str]:
        """The lines of the stages whose turn it is."""
        lines: list[str] = []
        while self._turn < len(self._plan.stages):
            index = self._plan.stages[self._turn]
            waiting = self._waiting.get(index, deque())
            while waiting:
                event = waiting.popleft()
                if isinstance(event, StageEnded):
                    self._turn += 1
                    lines += self._teller.stage_ended(is_last=self._turn == len(self._plan.stages))
                    break
                lines += self._teller.of(event)
            else:
                return lines
        return lines


@dataclass(slots=True)
class _LineWriter:
    """Events in the order of the text. `_held` are instructions of which is not known yet whether they count as cached."""

    remove: bool
    no_cache: bool
    _number: int = 0
    _missed: bool = False
    _image: str | None = None  # told with the next line, for the last one of a build is the image's own
    _step: StepStarted | None = None
    _is_told: bool = True  # the step's own line
    _is_running: bool = False
    _held: list[tuple[StepStarted, str]] = field(default_factory=list)

    def of(self, event: BuildEvent) -> Iterator[str]:
        match event:
            case StepStarted():
                self._step, self._is_running = event, False
                self._is_told = keyword(event) in ("FROM", "ARG") and event.number == 0
                if keyword(event) == "FROM":
                    self._missed = self.no_cache
                if self._is_told:
                    yield from self._begun(event)
            case StepRunning():
                yield from self._running()
            case StepOutput():
                yield from self._running()
                text = event.data.decode(errors="replace")
                yield f"{RED}{text}{PLAIN}" if event.stream == "stderr" else text
            case StepEnded(error=""):
                yield from self._ended(event)

    def stage_ended(self, *, is_last: bool) -> Iterator[str]:
        """What is held at the end of the last stage waits for `end`."""
        if not is_last:
            yield from self._release(cached=not self._missed)
            yield from self._tell_image()

    def end(self, image: str, *, is_new: bool) -> Iterator[str]:
        yield from self._release(cached=not self._missed and not is_new)
        if self._image is not None:
            self._image = image
        yield from self._tell_image()

    def stop(self) -> Iterator[str]:
        """A step failed: it is told as far as it came."""
        if self._step is not None and not self._is_told:
            yield from self._missing()
        yield from self._tell_image()

    def _ended(self, event: StepEnded) -> Iterator[str]:
        step, self._step = self._step, None
        assert step is not None, "a step begins before it ends"
        if step.number == 0:
            if keyword(step) == "FROM":
                self._image = short_id(event.state)
            return
        if event.cached and not event.layer and keyword(step) not in ("RUN", "COPY", "ADD"):
            self._held.append((step, event.state))
            return
        self._step = step
        if event.cached:
            yield from self._release(cached=not self._missed)
            yield from self._begun(step)
            yield " ---> Using cache\n"
        else:
            yield from self._running()
            if keyword(step) not in _NO_CONTAINER and self.remove:
                yield f" ---> Removed intermediate container {random_hex64()[:12]}\n"
        self._step, self._image = None, short_id(event.state)

    def _running(self) -> Iterator[str]:
        """The step at hand is not cached; once."""
        if self._is_running or self._step is None:
            return
        self._is_running = True
        yield from self._missing()
        if keyword(self._step) not in _NO_CONTAINER:
            yield f" ---> Running in {random_hex64()[:12]}\n"

    def _missing(self) -> Iterator[str]:
        assert self._step is not None, "only a step can miss the cache"
        yield from self._release(cached=False)
        self._missed = True
        yield from self._begun(self._step)
        self._is_told = True

    def _release(self, *, cached: bool) -> Iterator[str]:
        held, self._held = self._held, []
        for step, state in held:
            yield from self._begun(step)
            if cached:
                yield " ---> Using cache\n"
            else:
                container = random_hex64()[:12]
                yield f" ---> Running in {container}\n"
                if self.remove:
                    yield f" ---> Removed intermediate container {container}\n"
            self._image = short_id(state)

    def _begun(self, step: StepStarted) -> Iterator[str]:
        yield from self._tell_image()
        self._number += 1
        yield f"Step {self._number}/{step.total} : {step.name}\n"

    def _tell_image(self) -> Iterator[str]:
        if self._image is not None:
            yield f" ---> {self._image}\n"
        self._image = None


_MISSING = re.compile(r'checksum of the sources: "/(.*)": not found|lstat /(.*): no such file or directory')
_BUILDKIT_ALONE = re.compile(r'process ".*" did not complete successfully: |failed to parse stage name "[^"]*": ', re.DOTALL)


def failure(error: EngineError) -> tuple[str, int]:
    """The message and code of `errorDetail`, in the classic builder's words; code 0 = none."""
    if not isinstance(error, StepFailed):
        return error.message, 0
    if isinstance(error.cause, RunFailed):
        return f"The command '{error.cause.command}' returned a non-zero code: {error.cause.status}", error.cause.status
    text = _BUILDKIT_ALONE.sub("", error.cause.message)
    if error.reason == "copy-source-missing" and (match := _MISSING.search(text)):
        where = "" if match[2] else "file not found in build context or excluded by .dockerignore: "
        return f"{error.name.partition(' ')[0].upper()} failed: {where}stat {match[1] or match[2]}: file does not exist", 0
    if error.reason == "bad-workdir" and text.endswith(": not a directory"):
        return f"Cannot mkdir: {text.removeprefix('mkdir ').removesuffix(': not a directory')} is not a directory", 0
    return text, 0


def refusal(error: EngineError, dockerfile: str) -> EngineError:
    """An error from before the first step, in the classic builder's words."""
    if error.reason == "no-dockerfile":
        text = f"Cannot locate specified Dockerfile: {dockerfile}"
        if posixpath.normpath(dockerfile).startswith("../") or posixpath.normpath(dockerfile) == "..":
            return Invalid(text, reason=error.reason, hint="it lies outside of the build context")
        return EngineError(text, reason=error.reason, hint=error.hint)
    if error.message == NO_INSTRUCTIONS:
        return Invalid(f"the Dockerfile ({dockerfile}) cannot be empty", reason=error.reason)
    return error
