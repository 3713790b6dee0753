"""A Dockerfile to an image: the stages that the target needs, each as soon as what it needs is there, side by side.

    stage 0 ──┐
    stage 1 ──┴─▶ stage 2 (COPY --from) ──▶ target

A stage runs its steps in order; whoever needs a stage awaits it. What a build made is held by its lease until the image is recorded.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from corten.build.cache import BuildCache
from corten.build.caches import CacheMounts
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.lexer import Line
from corten.build.dockerfile.parser import parse_line
from corten.build.draft import Draft, step_key
from corten.build.events import Emit, StepEnded, StepStarted
from corten.build.metadata import ArgValues, apply_metadata
from corten.build.options import OLDEST_EPOCH, BaseImage, BuildOptions, Executor, Sources
from corten.build.steps.copy import copy_step, workdir_step
from corten.build.steps.run import run_step
from corten.build.steps.surroundings import Done, Origin, Surroundings
from corten.build.workshop import Workshop
from corten.errors import EngineError, Invalid, NotFound
from corten.oci.platform import Platform, host_platform, parse_platform
from corten.store.records.leases import Lease

EMPTY_KEY = "scratch"


class StepFailed(EngineError):
    """A step went wrong: `cause` says what, `place` where in the Dockerfile."""

    def __init__(self, cause: EngineError, place: ins.Place, name: str) -> None:
        super().__init__(cause.message, reason=cause.reason, hint=cause.hint)
        self.cause = cause
        self.place = place
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The lasting things that builds share."""

    cache: BuildCache
    caches: CacheMounts
    executor: Executor
    workshop: Callable[[Lease, int], Workshop]  # newest time (ns)


@dataclass(frozen=True, slots=True)
class Result:
    """The target stage's draft; `epoch` (seconds) is the time of all files and of the image."""

    draft: Draft
    epoch: int


class Build:
    """One build. `run` once; cancelling it kills what runs."""

    def __init__(
        self, dockerfile: ins.Dockerfile, options: BuildOptions, sources: Sources, bench: Workbench, lease: Lease, emit: Emit
    ) -> None:
        self._file = dockerfile
        self._options = options
        self._sources = sources
        self._bench = bench
        self._lease = lease
        self._emit = emit
        self._stages: dict[int, asyncio.Task[Draft]] = {}
        self._images: dict[str, asyncio.Task[BaseImage]] = {}
        self._ids = itertools.count(1)
        self._room = asyncio.Semaphore(max(1, options.parallel))
        self._global = _global_values(dockerfile, options)
        self._args = ArgValues({k: v for k, v in options.build_args.items() if v is not None}, self._global)
        self._epoch = OLDEST_EPOCH

    async def run(self) -> Result:
        """Raises StepFailed for a step, Invalid and NotFound for what is wrong before any."""
        target = self._target()
        self._epoch = await self._choose_epoch(target)
        try:
            if self._options.parallel > 1:
                for stage in self._needed(target):
                    self._stage(stage)
            draft = await self._stage(target)
        except BaseException:
            await self._stop()
            raise
        return Result(draft, self._epoch)

    def _target(self) -> ins.Stage:
        wanted = self._options.target
        if not wanted:
            return self._file.stages[-1]
        found = self._find_stage(wanted, len(self._file.stages))
        if found is None:
            raise Invalid(f'target stage "{wanted}" could not be found', reason="no-such-stage")
        return found

    def _needed(self, target: ins.Stage) -> list[ins.Stage]:
        """Every stage that `target` needs, first ones first."""
        found: dict[int, ins.Stage] = {}
        pending = [target]
        while pending:
            stage = pending.pop()
            found[stage.index] = stage
            for name in (stage.base.image, *_origins(stage)):
                below = self._find_stage(name, stage.index)
                if below is not None and below.index not in found:
                    pending.append(below)
        return [found[index] for index in sorted(found)]

    def _find_stage(self, name: str, before: int) -> ins.Stage | None:
        """By name or number, among the stages before number `before`; the last of that name."""
        for stage in reversed(self._file.stages[:before]):
            if stage.name == name.lower() or (name.isdecimal() and stage.index == int(name)):
                return stage
        return None

    async def _choose_epoch(self, target: ins.Stage) -> int:
        """SOURCE_DATE_EPOCH where given, else the age of the image that the target goes back to."""
        if self._options.epoch is not None:
            return self._options.epoch
        stage: ins.Stage | None = target
        while stage is not None:
            name = self._base_name(stage)
            below = self._find_stage(name, stage.index)
            if below is None:
                base = await self._image(name, stage) if name != "scratch" else None
                return _seconds(base.config.created) if base else OLDEST_EPOCH
            stage = below
        raise AssertionError("a chain of stages ends at an image")

    def _stage(self, stage: ins.Stage) -> "asyncio.Task[Draft]":
        if stage.index not in self._stages:
            self._stages[stage.index] = asyncio.get_running_loop().create_task(self._build_stage(stage))
        return self._stages[stage.index]

    async def _stop(self) -> None:
        tasks = [*self._stages.values(), *self._images.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build_stage(self, stage: ins.Stage) -> Draft:
        draft, triggers = await self._start(stage)
        around = self._surroundings(stage)
        if stage.index == self._target().index and self._options.labels:
            draft = draft.with_config(labels={**(draft.config.labels or {}), **self._options.labels})
        for number, step in enumerate([*triggers, *stage.steps], 1):
            draft = await self._step(draft, step, number, stage, around)
        return draft

    async def _start(self, stage: ins.Stage) -> tuple[Draft, list[ins.Instruction]]:
        name = self._base_name(stage)
        begun = StepStarted(f"{next(self._ids)}", f"FROM {name}", stage.name, 0, self._total())
        self._emit(begun)
        try:
            draft = await self._base_draft(stage, name)
        except EngineError as error:
            self._emit(StepEnded(begun.id, cached=False, error=error.message))
            raise StepFailed(error, stage.base.place, begun.name) from error
        self._emit(StepEnded(begun.id, cached=True))
        triggers = [parse_line(Line(text, stage.base.place.start, stage.base.place.end)) for text in draft.config.on_build or []]
        return draft.with_config(on_build=None) if triggers else draft, triggers

    async def _base_draft(self, stage: ins.Stage, name: str) -> Draft:
        below = self._find_stage(name, stage.index)
        if below is not None:
            return replace(await self._stage(below), args={}, has_cmd=False, escape=self._file.escape)
        if name == "scratch":
            return Draft(key=EMPTY_KEY, escape=self._file.escape)
        base = await self._image(name, stage)
        key = step_key("image", base.layers)
        history = tuple(base.config.history or ())
        return Draft(key=key, layers=base.layers, config=base.config.run, base=base.config, history=history, escape=self._file.escape)

    def _base_name(self, stage: ins.Stage) -> str:
        name = Expander(self._global, escape=self._file.escape).word(stage.base.image)
        if not name:
            raise Invalid(f"base name ({stage.base.image}) should not be blank", reason="blank-base")
        return name

    async def _image(self, name: str, stage: ins.Stage | None) -> BaseImage:
        platform = self._options.platform
        if stage is not None and stage.base.platform:
            platform = Expander(self._global, escape=self._file.escape).word(stage.base.platform) or platform
        _refuse_foreign(platform)
        if name not in self._images:
            wanted = self._sources.images.resolve(name, pull=self._options.pull, platform=platform)
            self._images[name] = asyncio.get_running_loop().create_task(_awaited(wanted))
        return await self._images[name]

    async def _origin(self, name: str, before: int) -> Origin:
        stage = self._find_stage(name, before)
        if stage is not None:
            draft = await self._stage(stage)
            return Origin(draft.key, draft.layers)
        base = await self._image(name, None)
        return Origin(step_key("image", base.layers), base.layers)

    def _surroundings(self, stage: ins.Stage) -> Surroundings:
        newest = self._epoch * 10**9
        options = self._options
        if stage.name in options.no_cache_stages:
            options = replace(options, no_cache=True)
        return Surroundings(
            workshop=self._bench.workshop(self._lease, newest),
            cache=self._bench.cache,
            caches=self._bench.caches,
            lease=self._lease,
            executor=self._bench.executor,
            options=options,
            sources=self._sources,
            emit=self._emit,
            stage=lambda name: self._origin(name, stage.index),
            newest=newest,
            created=_rfc3339(self._epoch),
        )

    async def _step(self, draft: Draft, step: ins.Instruction, number: int, stage: ins.Stage, around: Surroundings) -> Draft:
        begun = StepStarted(f"{next(self._ids)}", step.place.text, stage.name, number, self._total())
        self._emit(begun)
        try:
            done = await self._done(draft, step, begun.id, around)
        except EngineError as error:
            self._emit(StepEnded(begun.id, cached=False, error=error.message))
            raise StepFailed(error, step.place, begun.name) from error
        self._emit(StepEnded(begun.id, done.cached, done.layer or ""))
        return done.draft

    async def _done(self, draft: Draft, step: ins.Instruction, step_id: str, around: Surroundings) -> Done:
        if isinstance(step, ins.Run):
            async with self._room:
                return await run_step(draft, step, step_id, around)
        if isinstance(step, ins.Copy):
            return await copy_step(draft, step, around)
        if isinstance(step, ins.Workdir):
            return await workdir_step(draft, step, around)
        after = apply_metadata(draft, step, self._args, around.created)
        assert after is not None, f"{type(step).__name__} is an instruction that makes files"
        return Done(after, cached=True)

    def _total(self) -> int:
        return sum(1 + len(stage.steps) for stage in self._file.stages)


def _origins(stage: ins.Stage) -> Iterator[str]:
    """The names behind `--from` and `from=` in a stage."""
    for step in stage.steps:
        if isinstance(step, ins.Copy) and step.from_:
            yield step.from_
        elif isinstance(step, ins.Run):
            yield from (mount.options["from"] for mount in step.mounts if mount.options.get("from"))


async def _awaited(wanted: Awaitable[BaseImage]) -> BaseImage:
    return await wanted


def _global_values(dockerfile: ins.Dockerfile, options: BuildOptions) -> dict[str, str]:
    """Platform variables and the ARGs before the first FROM."""
    values = dict(_platform_values(options.platform))
    given = {k: v for k, v in options.build_args.items() if v is not None}
    for arg in dockerfile.global_args:
        for name, default in arg.pairs:
            if name in given:
                values[name] = given[name]
            elif default is not None:
                values[name] = Expander(values, escape=dockerfile.escape).word(default)
    return values


def _platform_values(target: str) -> Iterator[tuple[str, str]]:
    for prefix, platform in (("TARGET", parse_platform(target)), ("BUILD", host_platform())):
        yield f"{prefix}PLATFORM", str(platform)
        yield f"{prefix}OS", platform.os
        yield f"{prefix}ARCH", platform.architecture
        yield f"{prefix}VARIANT", platform.variant
    yield "TARGETSTAGE", "default"


def _refuse_foreign(platform: str) -> None:
    wanted: Platform = parse_platform(platform)
    if (wanted.os, wanted.architecture) != (host_platform().os, host_platform().architecture):
        raise NotFound(
            f"no match for platform in manifest: {platform} cannot be built on {host_platform()}",
            reason="foreign-platform",
            hint="build on a machine of that kind",
        )


def _seconds(created: str | None) -> int:
    if not created:
        return OLDEST_EPOCH
    try:
        return max(OLDEST_EPOCH, int(datetime.fromisoformat(created).timestamp()))
    except ValueError:
        return OLDEST_EPOCH


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
