"""`RUN --mount`: binds from the context or a stage, caches, tmpfs, secrets. All of it is gone when the step ends."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from corten.build.cachemounts import Sharing
from corten.build.dockerfile import instructions as ins
from corten.build.files.change_detector import ContextChanged
from corten.build.files.ssh_agent import agent_socket
from corten.build.files.tree import Tree, missing_source
from corten.build.imagestate import ImageState
from corten.build.options import BindMount
from corten.build.steps.context import FromSource, StepContext
from corten.build.steps.stacks import MNT_DETACH, mounted_stack
from corten.errors import Invalid, NotFound
from corten.kernel.mount import AT_FDCWD, move_mount, umount2
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2
from corten.kernel.overlay import OverlayStack, overlay

_SHARING: Final[dict[str, Sharing]] = {"": "shared", "shared": "shared", "private": "private", "locked": "locked"}
_TRUE: Final = frozenset({"", "true", "1"})


@dataclass(slots=True)
class MountedExtras:
    """What the mounts of one RUN come to."""

    binds: list[BindMount] = field(default_factory=list)
    tmpfs: dict[str, str] = field(default_factory=dict)
    env: list[str] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        return [m.target for m in self.binds] + list(self.tmpfs)


async def mount_key(state: ImageState, flag: ins.MountFlag, ctx: StepContext) -> object:
    """What of a mount decides the step's result: the content of binds; of caches and secrets only that they are there."""
    options = {k: state.expander().word(v) for k, v in flag.options.items()}
    if flag.type != "bind":
        return (flag.type, options.get("target"), options.get("id"))
    source = options.get("source", "").strip("/")
    if "from" in options:
        origin = await ctx.stage(options["from"])
        if origin.tree is None:
            return ("bind", options["target"], await asyncio.to_thread(_content, source, origin, ctx))
        context = origin.tree
    else:
        context = _context(ctx)
    return ("bind", options["target"], await asyncio.to_thread(context.current().digest, source))


def _content(source: str, origin: FromSource, ctx: StepContext) -> object:
    """What is at `source` in a stage or image. Blocks. All of it is named by its layers: an image of gigabytes is not read for that."""
    if not source:
        return origin.layers
    try:
        return ctx.snapshotter.lookup(origin.layers, ("bound", source), lambda root: Tree(root).digest(source))
    except NotFound:
        return origin.key  # the mount itself tells it, in its own words


def _context(ctx: StepContext) -> Tree:
    if ctx.sources.context is None:
        raise Invalid("there is no build context", reason="no-context", hint="the Dockerfile came from standard input")
    return ctx.sources.context


async def opened_mounts(state: ImageState, step: ins.Run, ctx: StepContext, stack: AsyncExitStack) -> MountedExtras:
    extra = MountedExtras()
    for flag in step.mounts:
        options = {k: state.expander().word(v) for k, v in flag.options.items()}
        if "target" in options:
            options["target"] = os.path.normpath(os.path.join(state.workdir, options["target"]))
        match flag.type:
            case "cache":
                extra.binds.append(await _cache(options, ctx, stack))
            case "tmpfs":
                extra.tmpfs[options["target"]] = f"size={options['size']}" if options.get("size") else ""
            case "secret":
                await _secret(options, ctx, stack, extra)
            case "bind":
                extra.binds.append(await _bind(options, ctx, stack))
            case _:
                await _ssh(options, ctx, stack, extra)
    return extra


async def _ssh(options: dict[str, str], ctx: StepContext, stack: AsyncExitStack, extra: MountedExtras) -> None:
    name, agents = options.get("id") or "default", ctx.sources.agents
    number = sum("ssh_agent." in m.target for m in extra.binds)
    target = options.get("target") or f"/run/buildkit/ssh_agent.{number}"
    first = await agents.connect(name)
    if first is None:
        if _is_on(options, "required"):
            raise Invalid(f"unset ssh forward key {name}", reason="no-ssh", hint=f"build with --ssh {name}")
        extra.env.append(f"SSH_AUTH_SOCK={target}")  # as BuildKit: a program that needs the agent says so itself
        return
    first[1].close()
    folder = ctx.worker.tempdirs.in_memory()
    relay = agent_socket(lambda: agents.connect(name), folder, owner=_owner(options), mode=_mode(options, "0600"))
    path = await stack.enter_async_context(relay)
    extra.binds.append(BindMount(source=path, target=target))
    extra.env.append(f"SSH_AUTH_SOCK={target}")


def _is_on(options: dict[str, str], name: str) -> bool:
    return options.get(name, "false").lower() in _TRUE


def _owner(options: dict[str, str]) -> tuple[int, int]:
    return int(options.get("uid") or 0), int(options.get("gid") or 0)


def _mode(options: dict[str, str], default: str) -> int:
    return int(options.get("mode") or default, 8)


async def _cache(options: dict[str, str], ctx: StepContext, stack: AsyncExitStack) -> BindMount:
    sharing = _SHARING.get(options.get("sharing", ""))
    if sharing is None:
        raise Invalid(f"unsupported sharing value {options['sharing']!r}", reason="bad-mount", hint="one of shared, private, locked")
    name = options.get("id") or options["target"]
    if ctx.options.cache_namespace:
        name = f"{ctx.options.cache_namespace}/{name}"
    seed: str | None = None
    if "from" in options:
        seed = await _opened_source(options, ctx, stack, writable=False)
    held = ctx.worker.cachemounts.held(name, sharing, mode=_mode(options, "0755"), owner=_owner(options), seed=seed)
    return BindMount(source=await stack.enter_async_context(held), target=options["target"], read_only=_is_on(options, "ro"))


async def _secret(options: dict[str, str], ctx: StepContext, stack: AsyncExitStack, extra: MountedExtras) -> None:
    name = options.get("id") or os.path.basename(options.get("target", ""))
    value = await ctx.sources.secrets.find(name)
    if value is None:
        if _is_on(options, "required"):
            raise Invalid(f"secret {name}: not found", reason="no-secret", hint=f"build with --secret id={name},src=FILE")
        return
    if "env" in options:
        extra.env.append(f"{options['env'] or name}={value.decode(errors='surrogateescape')}")
        if "target" not in options:
            return
    path = await stack.enter_async_context(_secret_file(value, options, ctx.worker.tempdirs.in_memory()))
    extra.binds.append(BindMount(source=path, target=options.get("target") or f"/run/secrets/{name}"))


@asynccontextmanager
async def _secret_file(value: bytes, options: dict[str, str], folder: str) -> AsyncIterator[str]:
    """In `folder`, which goes with it."""
    path = os.path.join(folder, "secret")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        os.write(fd, value)
        os.fchmod(fd, _mode(options, "0400"))
        os.fchown(fd, *_owner(options))
        os.close(fd)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _bind(options: dict[str, str], ctx: StepContext, stack: AsyncExitStack) -> BindMount:
    writable = _is_on(options, "rw") or options.get("ro", "").lower() in ("false", "0")
    path = await _opened_source(options, ctx, stack, writable=writable)
    return BindMount(source=path, target=options["target"], read_only=not writable)


async def _opened_source(options: dict[str, str], ctx: StepContext, stack: AsyncExitStack, *, writable: bool) -> str:
    """The host path of `source` in `from` (a stage, an image, a named context) or in the context."""
    origin = await ctx.stage(options["from"]) if "from" in options else None
    if origin is not None and origin.tree is None:
        root = await stack.enter_async_context(mounted_stack(ctx.snapshotter, ctx.worker.tempdirs, origin.layers))
    else:
        tree = (origin.tree if origin and origin.tree else _context(ctx)).current()
        if tree.local is not None:
            await asyncio.to_thread(tree.local.copy_once)
            raise ContextChanged(tree.local.copy_once, options.get("source", ""))  # the step's key is made anew, of the copy
        context = os.readlink(f"/proc/self/fd/{tree.root}")
        root = await stack.enter_async_context(_scratch_over(context, ctx.worker.tempdirs.directory())) if writable else context
    return _inside(root, options.get("source", "").strip("/"))


def _inside(root: str, source: str) -> str:
    """The host path of `source` in `root`, links followed within it."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = openat2(fd, source or ".", os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
    except OSError as error:
        raise NotFound(missing_source(source), reason="mount-source-missing") from error
    finally:
        os.close(fd)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


@asynccontextmanager
async def _scratch_over(folder: str, work: str) -> AsyncIterator[str]:
    """A writable view of `folder`, whose changes are thrown away with `work`."""
    for name in ("upper", "work", "merged"):
        os.mkdir(os.path.join(work, name))
    try:
        tree = overlay(OverlayStack((folder,), f"{work}/upper", f"{work}/work"))
        try:
            move_mount(tree, "", AT_FDCWD, f"{work}/merged")
        finally:
            os.close(tree)
        try:
            yield f"{work}/merged"
        finally:
            umount2(f"{work}/merged", MNT_DETACH)
    finally:
        shutil.rmtree(work, ignore_errors=True)
