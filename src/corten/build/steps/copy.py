"""COPY, ADD and WORKDIR: files from the context, a stage, a URL or an archive into the stage."""

import asyncio
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.lexer import Heredoc
from corten.build.draft import Draft, step_key
from corten.build.events import Warned
from corten.build.files.copying import Copier, Stamp
from corten.build.files.grafts import Grafts
from corten.build.files.linking import fits_anywhere
from corten.build.files.modes import ModeChange, parse_mode
from corten.build.files.owners import resolve_owner
from corten.build.files.tree import Tree
from corten.build.steps.adding import Remote, extract, fetch, is_archive, is_remote
from corten.build.steps.surroundings import Done, Surroundings
from corten.errors import Invalid
from corten.ids import DiffId
from corten.ignore import IgnoreRules, parse_ignore_file

_NO_VARIABLE = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"


@dataclass(frozen=True, slots=True)
class _Plan:
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


async def copy_step(draft: Draft, step: ins.Copy, around: Surroundings) -> Done:
    """Raises NotFound for a source that is not there, Invalid for what cannot be copied."""
    plan = _plan(draft, step)
    remotes: list[Remote] = []
    try:
        for source in plan.sources:
            if step.is_add and is_remote(source):
                remotes.append(await fetch(source, step, around))
        if step.from_:
            if "$" in step.from_:
                raise Invalid(_NO_VARIABLE, reason="copy-from-variable")
            origin = await around.stage(step.from_)
            if origin.tree is not None:
                return await asyncio.to_thread(_copy, draft, plan, origin.tree, remotes, around)
            return await asyncio.to_thread(_from_layers, draft, plan, origin.layers, remotes, around)
        return await asyncio.to_thread(_copy, draft, plan, around.sources.context, remotes, around)
    finally:
        for remote in remotes:
            shutil.rmtree(remote.folder, ignore_errors=True)


async def workdir_step(draft: Draft, step: ins.Workdir, around: Surroundings) -> Done:
    """Relative paths go on from the last one; the directory is made, and is the user's."""
    wanted = draft.expander().word(step.path)
    path = wanted if wanted.startswith("/") else posixpath.normpath(posixpath.join(draft.workdir, wanted))
    clean = posixpath.normpath(path)
    if not wanted:
        raise Invalid("WORKDIR requires a path", reason="bad-workdir")
    draft = draft.with_config(working_dir=path)
    created_by = f"WORKDIR {path}"
    key = step_key(draft.key, "WORKDIR", clean, draft.config.user)
    make = _Making(draft, key, created_by, around, draft.config.user, line=step.place.start)
    if clean == "/" or not await asyncio.to_thread(make.is_missing, clean):
        return Done(draft.noted(created_by, around.created), cached=True)
    return await asyncio.to_thread(make.done, lambda copier: os.close(copier.directory(clean)))


def _plan(draft: Draft, step: ins.Copy) -> _Plan:
    expand = draft.expander()
    sources = tuple(expand.word(source) for source in step.sources)
    target = expand.word(step.target)
    if not target:
        raise Invalid("the target of COPY is empty", reason="copy-target")
    if step.checksum and not all(is_remote(source) for source in sources):
        raise Invalid("checksum requires HTTP(S) or Git sources", reason="add-checksum-kind")
    absolute = posixpath.normpath(posixpath.join(draft.workdir, target))
    if target in (".", "..") or target.endswith(("/", "/.", "/..")):
        absolute = absolute.rstrip("/") + "/"
    chown, chmod = expand.word(step.chown), expand.word(step.chmod)
    flags = "".join(f"--{name}={value} " for name, value in (("chown", chown), ("chmod", chmod)) if value)
    shown = " ".join([*sources, *(f"<<{h.name}" for h in step.heredocs), target])
    written = f"{'ADD' if step.is_add else 'COPY'} {flags}{shown} # buildkit"
    return _Plan(sources, absolute, step.heredocs, chown, parse_mode(chmod) if chmod else None, step, written)


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
    step, is_linked = plan.step, False
    if plan.step.link:
        with around.workshop.viewed(draft.layers) as root:
            is_linked = fits_anywhere(root, plan.target, changed=bool(plan.chown or plan.mode))
            plan = replace(plan, chown=_numbers(plan, root, around)) if is_linked and plan.chown else plan
    flags = (plan.target, plan.chown, plan.mode, step.parents and local, step.unpack, step.is_add)
    key = step_key(draft.key, "link" if step.link else draft.key, "COPY", digests, fetched, texts, flags)
    grafts = None
    if tree is not None and tree.gives and len(paths) == 1 and not (remotes or texts or plan.chown or plan.mode):
        grafts = Grafts(tree, around.newest)
    make = _Making(draft, key, plan.written, around, plan.chown, plan.mode, bool(tree and tree.own), step.place.start, grafts)
    make.link = step_key("link", digests, fetched, texts, flags) if is_linked else ""
    if (done := make.cached()) is not None:
        return done

    def work(copier: Copier) -> None:
        if tree is not None:
            copier = replace(copier, source=tree, keep=keep, grafts=grafts)
        for source, path in paths:
            _put(copier, plan, source, path)
        for remote in remotes:
            _put_remote(copier, plan, remote)
        for name, text in texts:
            copier.write(text.encode(), posixpath.join(plan.target, name) if plan.into else plan.target)

    return make.done(work)


def _put(copier: Copier, plan: _Plan, source: str, path: str) -> None:
    if plan.step.is_add and plan.step.unpack is not False and is_archive(copier.source, path):
        extract(copier, path, plan.target)
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


def _put_remote(copier: Copier, plan: _Plan, remote: Remote) -> None:
    folder = os.open(remote.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stamp = replace(copier.stamp, owner=copier.stamp.owner or (0, 0), time=remote.time or copier.stamp.time)
        copied = replace(copier, source=Tree(folder), keep=lambda path: True, stamp=stamp)
        if remote.is_folder:
            copied.copy("", plan.target, into=True)
        elif plan.step.unpack:
            extract(copied, remote.name, plan.target)
        else:
            copied.copy(remote.name, plan.target, into=plan.into)
    finally:
        os.close(folder)


def _numbers(plan: _Plan, root: int, around: Surroundings) -> str:
    """`--chown` with the names that the stage's files give numbers to: a linked layer is made without them."""

    def complain(text: str) -> None:
        around.emit(Warned("UnknownOwner", text, plan.step.place.start))

    uid, gid = resolve_owner(plan.chown, root, complain)
    return f"{uid}:{gid}"


def _text(heredoc: Heredoc, expand: Expander) -> str:
    return expand.keeping_quotes(heredoc.content) if heredoc.expand else heredoc.content


def _keeper(step: ins.Copy) -> Callable[[str], bool]:
    if not step.excludes:
        return lambda path: True
    rules = IgnoreRules(parse_ignore_file("\n".join(step.excludes)))
    return lambda path: not path or not rules.ignores(path)


@dataclass(slots=True)
class _Making:
    """One step that makes files without a process: cache, workplace, seal. `own`: the source's owners count.

    `link` names what a COPY --link makes, whatever lies below: its layer is made on nothing, so that it is the same on another base.
    """

    draft: Draft
    key: str
    created_by: str
    around: Surroundings
    chown: str = ""
    mode: ModeChange | None = None
    own: bool = False
    line: int = 0
    grafts: Grafts | None = None
    link: str = ""

    def is_missing(self, path: str) -> bool:
        """Whether there is no directory at `path`. Raises Invalid for something else."""
        with self.around.workshop.viewed(self.draft.layers) as root:
            tree = Tree(root)
            if not tree.is_directory(path) and tree.exists(path.lstrip("/")):
                raise Invalid(f"mkdir {path}: not a directory", reason="bad-workdir")
            return not tree.is_directory(path)

    def cached(self) -> Done | None:
        found = self.around.cached(self.link, self.draft) if self.link else None
        if found is None:
            found = self.around.cached(self.key, self.draft)
        return None if found is None else self._after(found[0], cached=True)

    def done(self, work: Callable[[Copier], None]) -> Done:
        """Blocks."""
        if (found := self.cached()) is not None:
            return found
        workshop = self.around.workshop
        snapshot = workshop.prepare(() if self.link else self.draft.layers)
        try:
            with self._copier(snapshot) as copier:
                work(copier)
            if self.grafts is not None:
                workshop.plant(snapshot, self.grafts)
            layer = workshop.seal(snapshot)
        except BaseException:
            workshop.drop(snapshot)
            raise
        self.around.cache.put(self.link or self.key, layer, self.created_by)
        return self._after(layer, cached=False)

    @contextmanager
    def _copier(self, snapshot: str) -> Iterator[Copier]:
        with ExitStack() as stack:
            root = stack.enter_context(self.around.workshop.opened(snapshot))
            owner = resolve_owner(self.chown, root, self._complain) if self.chown else None if self.own else (0, 0)
            yield Copier(Tree(root), root, Stamp(owner=owner, chown=bool(self.chown), mode=self.mode, time=self.around.newest))

    def _complain(self, text: str) -> None:
        self.around.emit(Warned("UnknownOwner", text, self.line))

    def _after(self, layer: DiffId | None, *, cached: bool) -> Done:
        after = self.draft.with_layer(self.key, layer).noted(self.created_by, self.around.created, empty=layer is None)
        return Done(after, cached, layer)
