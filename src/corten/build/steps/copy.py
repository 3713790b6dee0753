"""COPY, ADD and WORKDIR: files from the context, a stage, a URL or an archive into the stage."""

import asyncio
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from corten.build.copying import Copier, Stamp
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.lexer import Heredoc
from corten.build.draft import Draft, step_key
from corten.build.modes import parse_mode
from corten.build.owners import resolve_owner
from corten.build.steps.adding import Remote, extract, fetch, is_archive, is_remote
from corten.build.steps.surroundings import Done, Surroundings
from corten.build.tree import Tree
from corten.errors import Invalid
from corten.ids import DiffId
from corten.ignore import IgnoreRules, parse_ignore_file


@dataclass(frozen=True, slots=True)
class _Plan:
    """A COPY or ADD with its variables replaced."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...]
    chown: str
    step: ins.Copy

    @property
    def into(self) -> bool:
        """The target is meant as a directory."""
        return self.target.endswith("/") or len(self.sources) + len(self.heredocs) > 1


async def copy_step(draft: Draft, step: ins.Copy, around: Surroundings) -> Done:
    """Raises NotFound for a source that is not there, Invalid for what cannot be copied."""
    plan = _plan(draft, step)
    remotes: list[Remote] = []
    try:
        for source in plan.sources:
            if step.is_add and is_remote(source):
                remotes.append(await fetch(source, step, around))
        if step.from_:
            origin = await around.stage(draft.expander().word(step.from_))
            return await asyncio.to_thread(_from_layers, draft, plan, origin.layers, remotes, around)
        return await asyncio.to_thread(_copy, draft, plan, around.sources.context, remotes, around)
    finally:
        for remote in remotes:
            shutil.rmtree(remote.folder, ignore_errors=True)


async def workdir_step(draft: Draft, step: ins.Workdir, around: Surroundings) -> Done:
    """Relative paths go on from the last one; the directory is made."""
    path = posixpath.normpath(posixpath.join(draft.workdir, draft.expander().word(step.path)))
    if not path or path == ".":
        raise Invalid("WORKDIR requires a path", reason="bad-workdir")
    draft = draft.with_config(working_dir=path)
    created_by = f"WORKDIR {path}"
    if path == "/" or not await asyncio.to_thread(around.workshop.absent, draft.layers, [path]):
        return Done(draft.noted(created_by, around.created), cached=True)
    key = step_key(draft.key, "WORKDIR", path)
    make = _Making(draft, key, created_by, around)
    return await asyncio.to_thread(make.done, lambda copier: _make_directory(copier, path))


def _make_directory(copier: Copier, path: str) -> None:
    os.close(copier.directory(path))


def _plan(draft: Draft, step: ins.Copy) -> _Plan:
    expand = draft.expander()
    sources: list[str] = []
    for source in step.sources:
        sources += [expand.word(source)]
    target = expand.word(step.target)
    if not target:
        raise Invalid("the target of COPY is empty", reason="copy-target")
    absolute = posixpath.join(draft.workdir, target)
    if target in (".", "..") or target.endswith(("/.", "/")):
        absolute = absolute.rstrip("/.") + "/" if not target.startswith("..") else absolute + "/"
    return _Plan(tuple(sources), absolute or "/", step.heredocs, expand.word(step.chown), step)


def _from_layers(draft: Draft, plan: _Plan, layers: tuple[DiffId, ...], remotes: list[Remote], around: Surroundings) -> Done:
    with around.workshop.viewed(layers) as root:
        return _copy(draft, plan, Tree(root), remotes, around)


def _copy(draft: Draft, plan: _Plan, tree: Tree | None, remotes: list[Remote], around: Surroundings) -> Done:
    """Blocks. The key is of contents, so a source that was made again the same is the same."""
    local = [s for s in plan.sources if not (plan.step.is_add and is_remote(s))]
    if local and tree is None:
        raise Invalid("there is no build context to copy from", reason="no-context", hint="the Dockerfile came from standard input")
    keep = _keeper(plan.step)
    paths = [(source, path) for source in local for path in (tree.find(source) if tree else ())]
    digests = [(path if plan.step.parents else posixpath.basename(path), tree.digest(path, keep)) for _, path in paths if tree]
    fetched = [(r.name, r.digest) for r in remotes]
    texts = [(h.name, _text(h, draft.expander())) for h in plan.heredocs]
    flags = (plan.target, plan.chown, plan.step.chmod, plan.step.parents, plan.step.unpack, plan.step.is_add, plan.into)
    parent = "link" if plan.step.link else draft.key
    key = step_key(draft.key, parent, "COPY", digests, fetched, texts, flags)
    shown = " ".join([*plan.sources, plan.target])
    created_by = f"{'ADD' if plan.step.is_add else 'COPY'} {_shown_flags(plan)}{shown} # buildkit"
    make = _Making(draft, key, created_by, around, plan.chown, plan.step.chmod)
    if (done := make.cached()) is not None:
        return done

    def work(copier: Copier) -> None:
        if tree is not None:
            copier = replace(copier, source=tree, keep=keep)
        for _, path in paths:
            _put(copier, plan, path)
        for remote in remotes:
            _put_remote(copier, plan, remote)
        for name, text in texts:
            copier.write(text.encode(), posixpath.join(plan.target, name) if plan.into else plan.target)

    return make.done(work)


def _put(copier: Copier, plan: _Plan, path: str) -> None:
    if plan.step.is_add and plan.step.unpack is not False and is_archive(copier.source, path):
        extract(copier, path, plan.target)
        return
    target = plan.target
    if plan.step.parents:
        target = posixpath.join(target, posixpath.dirname(path)) + "/"
        if copier.source.is_directory(path):
            target = posixpath.join(plan.target, path) + "/"
    copier.copy(path, target, into=plan.into or plan.step.parents)


def _put_remote(copier: Copier, plan: _Plan, remote: Remote) -> None:
    folder = os.open(remote.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        copied = replace(copier, source=Tree(folder), keep=lambda path: True)
        if plan.step.unpack:
            extract(copied, remote.name, plan.target)
        else:
            copied.copy(remote.name, plan.target, into=plan.into)
    finally:
        os.close(folder)


def _text(heredoc: Heredoc, expand: Expander) -> str:
    return expand.keeping_quotes(heredoc.content) if heredoc.expand else heredoc.content


def _keeper(step: ins.Copy) -> Callable[[str], bool]:
    if not step.excludes:
        return lambda path: True
    rules = IgnoreRules(parse_ignore_file("\n".join(step.excludes)))
    return lambda path: not path or not rules.ignores(path)


def _shown_flags(plan: _Plan) -> str:
    flags = [("from", plan.step.from_), ("chown", plan.chown), ("chmod", plan.step.chmod)]
    return "".join(f"--{name}={value} " for name, value in flags if value)


@dataclass(slots=True)
class _Making:
    """One step that makes files without a process: cache, workplace, seal."""

    draft: Draft
    key: str
    created_by: str
    around: Surroundings
    chown: str = ""
    chmod: str = ""

    def cached(self) -> Done | None:
        if self.around.options.no_cache:
            return None
        found = self.around.cache.find(self.key, self.around.lease)
        return None if found is None else self._after(found[0], cached=True)

    def done(self, work: Callable[[Copier], None]) -> Done:
        """Blocks."""
        if (found := self.cached()) is not None:
            return found
        workshop = self.around.workshop
        snapshot = workshop.prepare(self.draft.layers)
        try:
            with self._copier(snapshot) as copier:
                work(copier)
            layer = workshop.seal(snapshot)
        except BaseException:
            workshop.drop(snapshot)
            raise
        self.around.cache.put(self.key, layer, self.created_by)
        return self._after(layer, cached=False)

    @contextmanager
    def _copier(self, snapshot: str) -> Iterator[Copier]:
        with ExitStack() as stack:
            root = stack.enter_context(self.around.workshop.opened(snapshot))
            owner = resolve_owner(self.chown, root) if self.chown else (0, 0)
            mode = parse_mode(self.draft.expander().word(self.chmod)) if self.chmod else None
            yield Copier(Tree(root), root, Stamp(owner=owner, mode=mode, time=self.around.newest))

    def _after(self, layer: DiffId | None, *, cached: bool) -> Done:
        after = self.draft.with_layer(self.key, layer).noted(self.created_by, self.around.created, empty=layer is None)
        return Done(after, cached, layer)
