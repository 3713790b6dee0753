"""A Dockerfile to an image: the stages that the target needs, each as soon as what it needs is there, side by side.

    stage 0 ──┐
    stage 1 ──┴─▶ stage 2 (COPY --from) ──▶ target

A stage runs its steps in order; whoever needs a stage awaits it. What a build made is held by its lease until the image is recorded.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from corten.build.dates import UNDATED, date_key, format_time, seconds_of
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.lexer import lex_trigger
from corten.build.dockerfile.parser import parse_line
from corten.build.events import Emit, Planned, StageEnded, StepEnded, StepStarted
from corten.build.files.change_detector import retry_on_change
from corten.build.files.tree import Tree
from corten.build.graph import Graph
from corten.build.imagestate import PROXY_ARGS, ImageState, step_key
from corten.build.metadata import ArgValues, apply_metadata
from corten.build.options import OLDEST_EPOCH, BaseImage, BuildOptions, Sources
from corten.build.remotecache import CacheRecord
from corten.build.steps.context import FromSource, StepContext, StepResult
from corten.build.steps.copy import copy_step, workdir_step
from corten.build.steps.entitlements import check_allowed
from corten.build.steps.run import run_step
from corten.build.vertex_names import COUNTED, VertexNames, counted, shown, stage_vertex_names
from corten.build.worker import Worker
from corten.errors import EngineError, Invalid, NotFound
from corten.oci.defaults import DEFAULT_PATH
from corten.oci.image import History, ImageConfig, RunConfig
from corten.oci.platform import Platform, can_run, host_platform, parse_platform
from corten.oci.reference import parse_reference
from corten.quoting import go_quoted
from corten.store.files import disk_error
from corten.store.records.leases import Lease

EMPTY_KEY = "scratch"
BEFORE_STEPS = frozenset({"bad-chmod", "add-checksum-kind", "copy-from-variable", "entitlement", "no-cdi-devices"})
"""Reasons of errors that BuildKit finds while it reads the file: they are shown with the place, not as a step's."""


class StepFailed(EngineError):
    """A step went wrong: `cause` says what, `place` where in the Dockerfile, `step_id` which step of the events it was."""

    def __init__(self, cause: EngineError, place: ins.SourceLocation, name: str, step_id: str = "") -> None:
        super().__init__(cause.message, reason=cause.reason, hint=cause.hint)
        self.cause = cause
        self.place = place
        self.name = name
        self.step_id = step_id


@dataclass(frozen=True, slots=True)
class SolveResult:
    """The target stage's image; `epoch` (seconds) is a reproducible build's one time; `records` of all stages' steps, by key.

    `stages` are the images of all that were built, by number, `names` what BuildKit calls them.
    """

    state: ImageState
    epoch: int | None
    records: Mapping[str, CacheRecord] = field(default_factory=dict)
    target: int = 0
    stages: Mapping[int, ImageState] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)


class Build:
    """One build. `run` once; cancelling it kills what runs."""

    def __init__(
        self, dockerfile: ins.Dockerfile, options: BuildOptions, sources: Sources, worker: Worker, lease: Lease, emit: Emit
    ) -> None:
        self._file = dockerfile
        self._options = options
        self._sources = sources
        self._worker = worker
        self._lease = lease
        self._emit = emit
        self._graph = Graph(dockerfile, frozenset(sources.named))
        self._stages: dict[int, asyncio.Task[ImageState]] = {}
        self._images: dict[str, asyncio.Task[BaseImage]] = {}
        self._ids = itertools.count(1)
        self._room = asyncio.Semaphore(max(1, options.parallel))
        self._global = global_values(dockerfile, options)
        self._args = ArgValues({k: v for k, v in options.build_args.items() if v is not None}, self._global)
        self._epoch: int | None = None
        self._records: dict[str, CacheRecord] = {}
        self._total = 0
        self._target: ins.Stage | None = None

    async def run(self) -> SolveResult:
        """Raises StepFailed for a step, Invalid and NotFound for what is wrong before any."""
        target = self._target = self._graph.target(self._options.target)
        needed = self._graph.needed(target)
        self._plan(needed)
        try:
            self._epoch = await self._choose_epoch(target) if self._options.has_one_time else None
            self._check_entitlements(needed)
            if self._options.parallel > 1:
                for stage in needed:
                    self._stage(stage)
            state = await self._stage(target)
        except BaseException:
            await self._stop()
            raise
        stages = {index: task.result() for index, task in sorted(self._stages.items())}
        names = {index: self._file.stages[index].name or f"stage-{index}" for index in stages}
        return SolveResult(self._with_labels(state, target), self._epoch, self._records, target.index, stages, names)

    def _plan(self, needed: list[ins.Stage]) -> None:
        """Tells what will be built, and the ARGs before the first FROM, which are steps, too."""
        before = self._file.global_args
        self._total = len(before) + sum(1 + len(stage.steps) for stage in needed) + bool(self._options.labels)
        args = [*before, *(step for stage in self._file.stages for step in stage.steps if isinstance(step, ins.Arg))]
        known = {name for arg in args for name, _ in arg.pairs} | PROXY_ARGS
        unused = sorted(name for name in self._options.build_args if name not in known)
        self._emit(Planned(tuple(stage.index for stage in needed), self._total, tuple(unused)))
        for arg in before:
            begun = StepStarted(f"{next(self._ids)}", arg.place.text, total=self._total, index=-1)
            self._emit(begun)
            self._emit(StepEnded(begun.id, cached=True))

    def _check_entitlements(self, needed: list[ins.Stage]) -> None:
        """Before any step runs: what is refused should not take twenty minutes to say so."""
        for step in (step for stage in needed for step in stage.steps if isinstance(step, ins.Run)):
            with placed(step.place):
                check_allowed(step, self._options.entitlements, self._worker.executor.devices)

    def _with_labels(self, state: ImageState, target: ins.Stage) -> ImageState:
        """The labels of the command line are the last step of the target."""
        if given := self._options.labels:
            text = " ".join(f"{name}={value}" for name, value in sorted(given.items()))
            begun = StepStarted(f"{next(self._ids)}", f"LABEL {text}", target.name, len(target.steps) + 1, self._total, "", target.index)
            self._emit(begun)
            state = state.with_config(labels={**(state.config.labels or {}), **given})
            self._emit(StepEnded(begun.id, cached=True, state=state.fingerprint))
        self._emit(StageEnded(target.index))
        return state

    async def _choose_epoch(self, target: ins.Stage) -> int:
        """SOURCE_DATE_EPOCH where given, else the age of the image that the target goes back to."""
        if self._options.epoch is not None:
            return self._options.epoch
        stage: ins.Stage | None = target
        while stage is not None:
            with placed(stage.base.place):
                name = self._base_name(stage)
                below = self._graph.find(name, stage.index)
                if below is None:
                    base = await self._image(name, stage) if name != "scratch" else None
                    return max(OLDEST_EPOCH, seconds_of(base.config.created) or 0) if base else OLDEST_EPOCH
            stage = below
        raise AssertionError("a chain of stages ends at an image")

    def _stage(self, stage: ins.Stage) -> "asyncio.Task[ImageState]":
        if stage.index not in self._stages:
            self._stages[stage.index] = asyncio.get_running_loop().create_task(self._build_stage(stage))
        return self._stages[stage.index]

    async def _stop(self) -> None:
        tasks = [*self._stages.values(), *self._images.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build_stage(self, stage: ins.Stage) -> ImageState:
        names = stage_vertex_names(stage, self._file, lambda name: self._graph.find(name, stage.index) is not None)
        state, triggers = await self._start(stage, names)
        ctx = self._step_context(stage)
        for number, step in enumerate([*triggers, *stage.steps], 1):
            begun = StepStarted(
                f"{next(self._ids)}",
                step.place.text,
                stage.name,
                number,
                self._total,
                names.next(shown(step, state)) if isinstance(step, COUNTED) else "",
                stage.index,
            )
            state = await self._step(state, step, begun, ctx)
            await asyncio.sleep(0)  # thousands of steps that need nobody must not keep the loop to themselves
        if stage is not self._target:
            self._emit(StageEnded(stage.index))
        return state

    async def _start(self, stage: ins.Stage, names: VertexNames) -> tuple[ImageState, list[ins.Instruction]]:
        with placed(stage.base.place):
            name = self._base_name(stage)
        below = self._graph.find(name, stage.index)
        from_image = below is None and name != "scratch"
        names.total = counted(stage.steps, from_image=from_image)
        begun = StepStarted(f"{next(self._ids)}", stage.base.place.text, stage.name, 0, self._total, index=stage.index)
        with placed(stage.base.place, begun.name, begun.id):
            state = await self._base_draft(stage, name)
        triggers = [parse_line(lex_trigger(text, stage.base.place.start, stage.base.place.end)) for text in state.config.on_build or []]
        names.total = counted([*triggers, *stage.steps], from_image=from_image)
        self._emit(replace(begun, label=names.next(f"FROM {name}")) if from_image else begun)
        self._emit(StepEnded(begun.id, cached=True, state=await self._state(name, stage, state)))
        return state.with_config(on_build=None) if triggers else state, triggers

    async def _state(self, name: str, stage: ins.Stage, state: ImageState) -> str:
        """After a FROM: "" for scratch, else the image's own id or the state of the stage below."""
        if self._graph.find(name, stage.index) is not None:
            return state.fingerprint
        return "" if name == "scratch" else (await self._image(name, stage)).id

    async def _base_draft(self, stage: ins.Stage, name: str) -> ImageState:
        below = self._graph.find(name, stage.index)
        if below is not None:
            return replace(await self._stage(below), has_cmd=False, escape=self._file.escape)
        if name == "scratch":
            state = ImageState(key=self._root_key(EMPTY_KEY), escape=self._file.escape)
            return state.with_config(env=[f"PATH={DEFAULT_PATH}"], working_dir="/")
        base = await self._image(name, stage)
        key = self._root_key(step_key("image", base.layers))
        history = tuple(base.config.history or ())
        state = ImageState(key=key, layers=base.layers, config=base.config.run, base=base.config, history=history, escape=self._file.escape)
        return state if "PATH" in state.env else state.with_config(env=[f"PATH={DEFAULT_PATH}", *(state.config.env or ())])

    def _root_key(self, key: str) -> str:
        marks = date_key(self._options)
        return step_key(key, *marks) if marks else key

    def _base_name(self, stage: ins.Stage) -> str:
        name = Expander(self._global, escape=self._file.escape).word(stage.base.image)
        if not name:
            raise Invalid(f"base name ({stage.base.image}) should not be blank", reason="blank-base")
        return name

    async def _image(self, name: str, stage: ins.Stage | None) -> BaseImage:
        platform = self._options.platform
        if stage is not None and stage.base.platform:
            platform = Expander(self._global, escape=self._file.escape).word(stage.base.platform) or platform
        with prefixed(f"failed to parse platform {platform}"):
            wanted_platform = parse_platform(platform)
        _refuse_foreign(platform, wanted_platform)
        known = self._sources.named.get(name, name)
        if isinstance(known, Tree):
            assert stage is not None, "--from reads folders as they are"
            if name not in self._images:
                self._images[name] = asyncio.get_running_loop().create_task(self._image_of_folder(name, stage))
            return await self._images[name]
        with prefixed(f"failed to parse stage name {go_quoted(known)}"):
            parse_reference(known)
        if name not in self._images:
            wanted = self._sources.images.resolve(known, pull=self._options.pull, platform=platform)
            self._images[name] = asyncio.get_running_loop().create_task(self._held(wanted))
        return await self._images[name]

    async def _held(self, wanted: Awaitable[BaseImage]) -> BaseImage:
        """The image, whose layers stay for this build even when its last name goes meanwhile."""
        base = await wanted
        self._worker.snapshotter(self._lease, 0).hold(base.layers)
        return base

    async def _image_of_folder(self, name: str, stage: ins.Stage) -> BaseImage:
        """FROM a folder of `--build-context`: its files are the root, all of them root's."""
        ctx = self._step_context(stage)
        step = ins.Copy(
            place=ins.SourceLocation(stage.base.place.start, stage.base.place.end, f"FROM {name}"), sources=("/",), target="/", from_=name
        )
        done = await retry_on_change(lambda: copy_step(ImageState(key=self._root_key(EMPTY_KEY)), step, ctx))
        platform = parse_platform(self._options.platform)
        config = ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            config=RunConfig(env=[f"PATH={DEFAULT_PATH}"], working_dir="/"),
            history=[History(created=done.state.history[-1].created, created_by=f"FROM {name}", comment="buildkit.dockerfile.v0")],
        )
        return BaseImage(name, "", config, done.state.layers)

    async def _origin(self, name: str, before: int) -> FromSource:
        stage = self._graph.find(name, before)
        if stage is not None:
            state = await self._stage(stage)
            return FromSource(state.key, state.layers)
        named = self._sources.named.get(name)
        if isinstance(named, Tree):
            return FromSource("", (), named)
        base = await self._image(name, None)
        return FromSource(step_key("image", base.layers), base.layers)

    def _step_context(self, stage: ins.Stage) -> StepContext:
        options = self._options
        if stage.name in options.no_cache_stages or str(stage.index) in options.no_cache_stages:
            options = replace(options, no_cache=True)
        newest = None if self._epoch is None else self._epoch * 10**9
        return StepContext(
            snapshotter=self._worker.snapshotter(self._lease, newest),
            worker=self._worker,
            lease=self._lease,
            options=options,
            sources=self._sources,
            emit=self._emit,
            stage=lambda name: self._origin(name, stage.index),
            newest=newest,
            created=UNDATED if newest is None else format_time(newest),
        )

    async def _step(self, state: ImageState, step: ins.Instruction, begun: StepStarted, ctx: StepContext) -> ImageState:
        self._emit(begun)
        try:
            with told_of_disks(begun.name.partition(" ")[0]):
                done = await self._done(state, step, begun.id, ctx)
        except EngineError as error:
            self._emit(StepEnded(begun.id, cached=False, error=error.message))
            if isinstance(error, StepFailed):  # of a stage that this step needs
                raise
            shown_step = "" if error.reason in BEFORE_STEPS else begun.id
            raise StepFailed(error, step.place, begun.name, shown_step) from error
        if done.state.key != state.key:
            created = done.state.history[-1].created or ""
            self._records[done.state.key] = CacheRecord(done.state.key, state.key, done.layer, begun.name, created)
        self._emit(StepEnded(begun.id, done.cached, done.layer or "", state=done.state.fingerprint))
        return done.state

    async def _done(self, state: ImageState, step: ins.Instruction, step_id: str, ctx: StepContext) -> StepResult:
        if isinstance(step, ins.Run):
            async with self._room:
                return await retry_on_change(lambda: run_step(state, step, step_id, ctx))
        if isinstance(step, ins.Copy):
            return await retry_on_change(lambda: copy_step(state, step, ctx))
        if isinstance(step, ins.Workdir):
            return await workdir_step(state, step, ctx)
        after = apply_metadata(state, step, self._args, ctx.created)
        assert after is not None, f"{type(step).__name__} is an instruction that makes files"
        return StepResult(after, cached=True)


@contextmanager
def placed(place: ins.SourceLocation, name: str = "", step_id: str = "") -> Iterator[None]:
    """An error inside becomes a StepFailed of that place."""
    try:
        yield
    except StepFailed:
        raise
    except EngineError as error:
        raise StepFailed(error, place, name or place.text, step_id) from error


@contextmanager
def told_of_disks(doing: str) -> Iterator[None]:
    """What the file system refuses a step is the step's error, and so are folders in folders without end."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, doing) from error
    except RecursionError:
        raise Invalid(f"{doing}: folders are nested too deep", reason="too-deep") from None


@contextmanager
def prefixed(text: str) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise Invalid(f"{text}: {error.message}", reason=error.reason, hint=error.hint) from error


def global_values(dockerfile: ins.Dockerfile, options: BuildOptions) -> dict[str, str]:
    """Platform variables and the ARGs before the first FROM."""
    values = dict(_platform_values(options.platform, options.target))
    given = {k: v for k, v in options.build_args.items() if v is not None}
    for arg in dockerfile.global_args:
        with placed(arg.place):
            for name, default in arg.pairs:
                if name in given:
                    values[name] = given[name]
                elif default is not None:
                    values[name] = Expander(values, escape=dockerfile.escape).word(default)
    return values


def _platform_values(target: str, stage: str) -> Iterator[tuple[str, str]]:
    for prefix, platform in (("TARGET", parse_platform(target)), ("BUILD", host_platform())):
        yield f"{prefix}PLATFORM", str(platform)
        yield f"{prefix}OS", platform.os
        yield f"{prefix}ARCH", platform.architecture
        yield f"{prefix}VARIANT", platform.variant
    yield "TARGETSTAGE", stage or "default"


def _refuse_foreign(platform: str, wanted: Platform) -> None:
    same = (wanted.os, wanted.architecture) == (host_platform().os, host_platform().architecture)
    if not same and not can_run(host_platform(), wanted):
        raise NotFound(
            f"no match for platform in manifest: {platform} cannot be built on {host_platform()}",
            reason="foreign-platform",
            hint="a stage FROM scratch that copies from stages FROM --platform=$BUILDPLATFORM may be for any platform; "
            "RUN needs a machine of that kind: Corten uses no binfmt emulation",
        )
