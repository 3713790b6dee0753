"""COPY, ADD and WORKDIR: files from the context, a stage, a URL or an archive into the stage."""

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace

from corten.build.dates import date_key
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.lexer import Heredoc
from corten.build.events import CheckWarning
from corten.build.files.change_detector import ChangeDetector
from corten.build.files.chmod import ModeChange, parse_mode
from corten.build.files.chown import resolve_owner
from corten.build.files.copier import Copier, Stamp
from corten.build.files.copy_link import fits_anywhere
from corten.build.files.fetched import FetchedSource
from corten.build.files.tree import Tree
from corten.build.files.upperdir import UpperDirWriter
from corten.build.imagestate import ImageState, step_key
from corten.build.steps.add import extract, fetched, is_archive, is_remote
from corten.build.steps.cancel import CancelToken
from corten.build.steps.context import StepContext, StepResult
from corten.errors import Invalid
from corten.ids import DiffId
from corten.ignore import IgnoreRules, parse_ignore_file

_NO_VARIABLE = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"


@dataclass(frozen=True, slots=True)
class _CopyPlan:
    """A COPY or ADD with its variables replaced. `written` is its history line, `target` absolute."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...]
    chown: str
    mode: ModeChange | None
    step: ins.Copy
    written: str

    @property
    def into(self) -> bool:
        """The target is meant as a directory."""
        return self.target.endswith("/")


WriteFiles = Callable[[Copier], None]


@dataclass(frozen=True, slots=True)
class _CopySource:
    """What a COPY reads from: the context, a named one (`opened` gives None in a build without context), or the `layers` of a stage."""

    opened: Callable[[], AbstractContextManager[Tree | None]]
    layers: tuple[DiffId, ...] | None = None


@dataclass(frozen=True, slots=True)
class _CopyFiles:
    """What the sources of a COPY name, each with what it was written as, and what is in it. `own`: owners count."""

    paths: list[tuple[str, str]]
    digests: list[tuple[str, str]]
    own: bool
    detector: ChangeDetector | None = None
    tree: Tree | None = None


async def copy_step(state: ImageState, step: ins.Copy, ctx: StepContext) -> StepResult:
    """Raises NotFound for a source that is not there, Invalid for what cannot be copied."""
    plan = _copy_plan(state, step)
    cancel = CancelToken(ctx.worker.cancel_import)
    async with AsyncExitStack() as stack:
        remotes: list[FetchedSource] = []
        for url in plan.sources:
            if step.is_add and is_remote(url):
                remotes.append(await stack.enter_async_context(fetched(url, step, ctx)))
        source = await _source(step, ctx)
        prepared = await cancel.in_thread(lambda: _cached_or_prepared(state, plan, source, remotes, ctx, cancel))
        return prepared if isinstance(prepared, StepResult) else await prepared[0].done(prepared[1], cancel)


async def _source(step: ins.Copy, ctx: StepContext) -> _CopySource:
    if not step.from_:
        context = ctx.sources.context and ctx.sources.context.current()
        return _CopySource(lambda: nullcontext(context))
    if "$" in step.from_:
        raise Invalid(_NO_VARIABLE, reason="copy-from-variable")
    origin = await ctx.stage(step.from_)
    named = origin.tree and origin.tree.current()
    if named is not None:
        return _CopySource(lambda: nullcontext(named))
    return _CopySource(lambda: _viewed(ctx, origin.layers), origin.layers)


@contextmanager
def _viewed(ctx: StepContext, layers: tuple[DiffId, ...]) -> Iterator[Tree]:
    with ctx.snapshotter.view(layers) as root:
        yield Tree(root)


async def workdir_step(state: ImageState, step: ins.Workdir, ctx: StepContext) -> StepResult:
    """Relative paths go on from the last one; the directory is made, and is the user's."""
    wanted = state.expander().word(step.path)
    path = wanted if wanted.startswith("/") else posixpath.normpath(posixpath.join(state.workdir, wanted))
    clean = posixpath.normpath(path)
    if not wanted:
        raise Invalid("WORKDIR requires a path", reason="bad-workdir")
    state = state.with_config(working_dir=path)
    created_by = f"WORKDIR {path}"
    key = step_key(state.key, "WORKDIR", clean, state.config.user)
    file_step = _FileStep(state, key, created_by, ctx, state.config.user, line=step.place.start)
    cancel = CancelToken(ctx.worker.cancel_import)
    if clean == "/" or not await cancel.in_thread(lambda: file_step.is_missing(clean)):
        return StepResult(state.noted(created_by, ctx.created), cached=True)
    if (done := await cancel.in_thread(file_step.cached)) is not None:
        return done
    return await file_step.done(lambda copier: os.close(copier.directory(clean)), cancel)


def _copy_plan(state: ImageState, step: ins.Copy) -> _CopyPlan:
    expand = state.expander()
    sources = tuple(expand.word(source) for source in step.sources)
    target = expand.word(step.target)
    if not target:
        raise Invalid("the target of COPY is empty", reason="copy-target")
    if step.checksum and not all(is_remote(source) for source in sources):
        raise Invalid("checksum requires HTTP(S) or Git sources", reason="add-checksum-kind")
    absolute = posixpath.normpath(posixpath.join(state.workdir, target))
    if target in (".", "..") or target.endswith(("/", "/.", "/..")):
        absolute = absolute.rstrip("/") + "/"
    chown, chmod = expand.word(step.chown), expand.word(step.chmod)
    flags = "".join(f"--{name}={value} " for name, value in (("chown", chown), ("chmod", chmod)) if value)
    shown = " ".join([*sources, *(f"<<{h.name}" for h in step.heredocs), target])
    written = f"{'ADD' if step.is_add else 'COPY'} {flags}{shown} # buildkit"
    return _CopyPlan(sources, absolute, step.heredocs, chown, parse_mode(chmod) if chmod else None, step, written)


def _cached_or_prepared(
    state: ImageState, plan: _CopyPlan, source: _CopySource, remotes: list[FetchedSource], ctx: StepContext, cancel: CancelToken
) -> "StepResult | tuple[_FileStep, WriteFiles]":
    """What the cache has, else what is to be made and how. Blocks. The key is of contents: a source made again the same is the same."""
    local = [s for s in plan.sources if not (plan.step.is_add and is_remote(s))]
    keep = _keeper(plan.step, cancel)
    texts = [(h.name, _text(h, state.expander())) for h in plan.heredocs]
    found = _matched_files(plan, local, source, keep, ctx)
    upper_writer = _upper_writer(plan, found, ctx) if not (remotes or texts) else None
    plan, is_linked = _linked(state, plan, ctx)
    step = plan.step
    contents = (found.digests, [(r.name, r.digest) for r in remotes], texts)
    flags = (plan.target, plan.chown, plan.mode, step.parents and local, step.unpack, step.is_add)
    key = step_key(state.key, "link" if step.link else state.key, "COPY", *contents, flags)
    file_step = _FileStep(state, key, plan.written, ctx, plan.chown, plan.mode, found.own, step.place.start, upper_writer, found.detector)
    file_step.link = step_key("link", *contents, flags, *date_key(ctx.options)) if is_linked else ""
    if (done := file_step.cached()) is not None:
        return done

    def work(copier: Copier) -> None:
        with source.opened() as tree:
            if tree is not None:
                copier = replace(copier, source=tree, keep=keep, upper_writer=upper_writer, detector=found.detector)
            for named, path in found.paths:
                _put(copier, plan, named, path)
            for remote in remotes:
                _put_remote(copier, plan, remote)
            for name, text in texts:
                copier.write(text.encode(), posixpath.join(plan.target, name) if plan.into else plan.target)

    return file_step, work


def _matched_files(plan: _CopyPlan, local: list[str], source: _CopySource, keep: Callable[[str], bool], ctx: StepContext) -> _CopyFiles:
    """Layers are looked into once; a folder may have changed since the last build."""
    step = plan.step

    def look(tree: Tree | None) -> _CopyFiles:
        if local and tree is None:
            raise Invalid("there is no build context to copy from", reason="no-context", hint="the Dockerfile came from standard input")
        paths = [(s, path) for s in local for path in (tree.find(s) if tree else ())]
        detector = ChangeDetector(tree.local.copy_once) if tree and tree.local else None
        digests = [(path if step.parents else posixpath.basename(path), tree.digest(path, keep, detector)) for _, path in paths if tree]
        return _CopyFiles(paths, digests, bool(tree and tree.own), detector, tree if tree and (tree.may_link or detector) else None)

    if source.layers is not None:
        question = ("copied", tuple(local), step.parents, tuple(step.excludes))
        return ctx.snapshotter.lookup(source.layers, question, lambda root: look(Tree(root)))
    with source.opened() as tree:
        return look(tree)


def _upper_writer(plan: _CopyPlan, found: _CopyFiles, ctx: StepContext) -> UpperDirWriter | None:
    if found.tree is None or len(found.paths) != 1 or plan.chown or plan.mode:
        return None
    return UpperDirWriter(found.tree, ctx.newest, found.detector)


def _linked(state: ImageState, plan: _CopyPlan, ctx: StepContext) -> tuple[_CopyPlan, bool]:
    """Of a COPY --link whether its layer may be made on nothing; the plan then has numbers for names of `--chown`."""
    if not plan.step.link:
        return plan, False
    changed = bool(plan.chown or plan.mode)
    question = ("fits", plan.target, changed)
    is_linked = ctx.snapshotter.lookup(state.layers, question, lambda root: fits_anywhere(root, plan.target, changed=changed))
    if not is_linked or not plan.chown:
        return plan, is_linked
    with ctx.snapshotter.view(state.layers) as root:
        return replace(plan, chown=_numbers(plan, root, ctx)), is_linked


def _put(copier: Copier, plan: _CopyPlan, source: str, path: str) -> None:
    if plan.step.is_add and plan.step.unpack is not False and is_archive(copier.source, path):
        extract(copier, path, plan.target)
        copier.hold_source(path)
        return
    target = plan.target
    if plan.step.parents:
        kept = _below_pivot(source, path)
        is_folder = copier.source.is_directory(path)
        target = posixpath.join(target, kept if is_folder else posixpath.dirname(kept)) + "/"
    copier.copy(path, target, into=plan.into or plan.step.parents)


def _below_pivot(source: str, path: str) -> str:
    """With `/./` in the source only what stands behind it is kept: `a/./b/c` gives `b/c`."""
    before, pivot, _ = source.partition("/./")
    if not pivot:
        return path
    depth = len([part for part in before.split("/") if part not in ("", ".")])
    return "/".join(path.split("/")[depth:])


def _put_remote(copier: Copier, plan: _CopyPlan, remote: FetchedSource) -> None:
    folder = os.open(remote.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stamp = replace(copier.stamp, owner=copier.stamp.owner or (0, 0), time=remote.time or copier.stamp.time)
        copied = replace(copier, source=Tree(folder), keep=lambda path: True, stamp=stamp, upper_writer=None, detector=None)
        if remote.is_folder:
            copied.copy("", plan.target, into=True)
        elif plan.step.unpack:
            extract(copied, remote.name, plan.target)
        else:
            copied.copy(remote.name, plan.target, into=plan.into)
    finally:
        os.close(folder)


def _numbers(plan: _CopyPlan, root: int, ctx: StepContext) -> str:
    """`--chown` with the names that the stage's files give numbers to: a linked layer is made without them."""

    def complain(text: str) -> None:
        ctx.emit(CheckWarning("UnknownOwner", text, plan.step.place.start))

    uid, gid = resolve_owner(plan.chown, root, complain)
    return f"{uid}:{gid}"


def _text(heredoc: Heredoc, expand: Expander) -> str:
    return expand.keeping_quotes(heredoc.content) if heredoc.expand else heredoc.content


def _keeper(step: ins.Copy, cancel: CancelToken) -> Callable[[str], bool]:
    """Asked for each file, when it is read and when it is copied: where a cancelled build ends."""
    rules = IgnoreRules(parse_ignore_file("\n".join(step.excludes))) if step.excludes else None

    def keep(path: str) -> bool:
        cancel.check()
        return not (rules and path and rules.ignores(path))

    return keep


@dataclass(slots=True)
class _FileStep:
    """One step that makes files without a process: cache, workplace, seal. `own`: the source's owners count.

    `link` names what a COPY --link makes, whatever lies below: its layer is made on nothing, so that it is the same on another base.
    """

    state: ImageState
    key: str
    created_by: str
    ctx: StepContext
    chown: str = ""
    mode: ModeChange | None = None
    own: bool = False
    line: int = 0
    upper_writer: UpperDirWriter | None = None
    detector: ChangeDetector | None = None
    link: str = ""

    def is_missing(self, path: str) -> bool:
        """Whether there is no directory at `path`. Raises Invalid for something else."""

        def look(root: int) -> bool:
            tree = Tree(root)
            if not tree.is_directory(path) and tree.exists(path.lstrip("/")):
                raise Invalid(f"mkdir {path}: not a directory", reason="bad-workdir")
            return not tree.is_directory(path)

        return self.ctx.snapshotter.lookup(self.state.layers, ("missing", path), look)

    def cached(self) -> StepResult | None:
        found = self.ctx.cached(self.link, self.state) if self.link else None
        if found is None:
            found = self.ctx.cached(self.key, self.state)
        return None if found is None else self._after(found[0], cached=True)

    async def done(self, work: WriteFiles, cancel: CancelToken) -> StepResult:
        """Made once for all builds that want the same now."""
        key = self.link or self.key
        layer = await self.ctx.run_once(key, _silent, lambda output: cancel.in_thread(lambda: self._made(key, work)))
        return self._after(layer, cached=False)

    def _made(self, key: str, work: WriteFiles) -> DiffId | None:
        """Blocks."""
        snapshotter = self.ctx.snapshotter
        snapshot = snapshotter.prepare(() if self.link else self.state.layers)
        try:
            with self._copier(snapshot) as copier:
                work(copier)
            if self.upper_writer is not None:
                snapshotter.write_upper(snapshot, self.upper_writer)
            if self.detector is not None:
                self.detector.finish()
            layer = snapshotter.commit(snapshot)
        except BaseException:
            snapshotter.remove(snapshot)
            raise
        self.ctx.worker.cache.put(key, layer, self.created_by)
        return layer

    @contextmanager
    def _copier(self, snapshot: str) -> Iterator[Copier]:
        with ExitStack() as stack:
            root = stack.enter_context(self.ctx.snapshotter.writable(snapshot))
            owner = resolve_owner(self.chown, root, self._complain) if self.chown else None if self.own else (0, 0)
            yield Copier(Tree(root), root, Stamp(owner=owner, chown=bool(self.chown), mode=self.mode, time=self.ctx.newest))

    def _complain(self, text: str) -> None:
        self.ctx.emit(CheckWarning("UnknownOwner", text, self.line))

    def _after(self, layer: DiffId | None, *, cached: bool) -> StepResult:
        created = self.ctx.created_at(self.link, self.key)
        after = self.state.with_layer(self.key, layer).noted(self.created_by, created, empty=layer is None)
        return StepResult(after, cached, layer)


def _silent(stream: str, data: bytes) -> None:
    """Copying says nothing."""
