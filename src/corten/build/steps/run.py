"""RUN: a process in the stage's root, whose changes become a layer."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from corten.build.dockerfile import instructions as ins
from corten.build.events import StepOutput, StepRunning
from corten.build.imagestate import PROXY_ARGS, ImageState, step_key
from corten.build.options import BuildOptions, RunJob
from corten.build.singleflight import Output
from corten.build.steps.ca_certificates import trust_authorities
from corten.build.steps.cancel import CancelToken
from corten.build.steps.context import StepContext, StepResult
from corten.build.steps.entitlements import check_allowed
from corten.build.steps.mounts import MountedExtras, mount_key, opened_mounts
from corten.errors import EngineError, Invalid
from corten.ids import DiffId
from corten.oci.defaults import DEFAULT_PATH
from corten.quoting import go_quoted

MADE_BY_RUNTIME = ("proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf")


class RunFailed(EngineError):
    """The command of a RUN ended with a status that is not 0."""

    kind = "system"

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f"process {go_quoted(command)} did not complete successfully: exit code: {status}", reason="run-failed")
        self.command = command
        self.status = status


async def run_step(state: ImageState, step: ins.Run, step_id: str, ctx: StepContext) -> StepResult:
    """Raises RunFailed, Denied for what needs an entitlement, Invalid for a bad mount."""
    devices = check_allowed(step, ctx.options.entitlements, ctx.worker.executor.devices)
    argv, shown = _command(state, step)
    if not argv:
        raise Invalid("arguments are required", reason="run-without-command")
    env = _environment(state, ctx.options)
    key = step_key(
        state.key, "RUN", argv, [e for e in env if e.partition("=")[0] not in PROXY_ARGS], state.config.user, state.workdir, step.network
    )
    key = step_key(key, *[await mount_key(state, m, ctx) for m in step.mounts])
    if ctx.options.hostname:
        key = step_key(key, "hostname", ctx.options.hostname)
    if devices:
        key = step_key(key, "devices", [found.cache_key for found in devices])
    created_by = f"RUN {_noted_args(state)}{shown} # buildkit"
    if (found := await _known(key, state, "" if step.mounts or devices else created_by, ctx)) is not None:
        return _done(state, key, found[0], created_by, ctx, cached=True)

    def output(stream: str, data: bytes) -> None:
        ctx.emit(StepOutput(step_id, stream, data))

    ctx.emit(StepRunning(step_id))
    names = tuple(dict.fromkeys(name for found in devices for name in found.devices))
    ran = _Running(state, step, key, created_by, shown, argv, env, ctx, names)
    return _done(state, key, await ctx.run_once(key, output, ran.once), created_by, ctx, cached=False)


@dataclass(frozen=True, slots=True)
class _Running:
    """A RUN that no cache knows. `argv` is run with `env`; `shown` is how people see it."""

    state: ImageState
    step: ins.Run
    key: str
    created_by: str
    shown: str
    argv: list[str]
    env: list[str]
    ctx: StepContext
    devices: tuple[str, ...] = ()

    async def once(self, output: Output) -> DiffId | None:
        """The layer that it made. Raises RunFailed."""
        snapshotter, state = self.ctx.snapshotter, self.state
        snapshot = await asyncio.to_thread(snapshotter.prepare, state.layers)
        try:
            async with AsyncExitStack() as stack:
                extra = await opened_mounts(state, self.step, self.ctx, stack)
                trust_authorities(extra, self.ctx, state.variables, stack)
                brought = self.ctx.worker.executor.devices.targets(self.devices) if self.devices else []
                stubs = await asyncio.to_thread(snapshotter.missing_paths, state.layers, [*MADE_BY_RUNTIME, *extra.targets, *brought])
                try:
                    status = await self.ctx.worker.executor.run(self._job(snapshot, extra), output)
                except EngineError as error:
                    raise _did_not_start(self.shown, error) from error
            if status != 0:
                raise RunFailed(self.shown, status)
            await asyncio.to_thread(snapshotter.remove_stubs, snapshot, stubs)
            layer = await asyncio.to_thread(snapshotter.commit, snapshot)
        except BaseException:
            snapshotter.remove(snapshot)
            raise
        self.ctx.worker.cache.put(self.key, layer, self.created_by)
        return layer

    def _job(self, snapshot: str, extra: MountedExtras) -> RunJob:
        options = self.ctx.options
        return RunJob(
            snapshot=snapshot,
            argv=tuple(self.argv),
            env=(*self.env, *extra.env),
            cwd=self.state.workdir,
            user=self.state.config.user,
            network=_network(self.step, self.ctx),
            mounts=tuple(extra.binds),
            tmpfs=extra.tmpfs,
            extra_hosts=options.extra_hosts,
            shm_size=options.shm_size,
            ulimits=options.ulimits,
            privileged=self.step.security == "insecure",
            limits=options.limits,
            hostname=options.hostname,
            devices=self.devices,
        )


async def _known(key: str, state: ImageState, created_by: str, ctx: StepContext) -> tuple[DiffId | None] | None:
    if ctx.worker.remote_cache is None:
        return ctx.cached(key, state)
    return await CancelToken(ctx.worker.cancel_import).in_thread(lambda: ctx.cached(key, state, created_by))


def _did_not_start(command: str, error: EngineError) -> EngineError:
    text = f"process {go_quoted(command)} did not complete successfully: {error.message}"
    return type(error)(text, reason=error.reason, hint=error.hint)


def _done(state: ImageState, key: str, layer: DiffId | None, created_by: str, ctx: StepContext, *, cached: bool) -> StepResult:
    after = state.with_layer(key, layer)
    return StepResult(after.noted(created_by, ctx.created_at(key), empty=layer is None), cached, layer)


def _command(state: ImageState, step: ins.Run) -> tuple[list[str], str]:
    """argv, and how the history shows it. A heredoc is the script, or the standard input of the line's own command."""
    if step.command.argv is not None:
        return list(step.command.argv), " ".join(step.command.argv)
    text = step.command.text
    if step.heredocs:
        first = step.heredocs[0]
        if text.startswith("<<") and len(step.heredocs) == 1:
            text = first.content
            if text.startswith("#!"):
                interpreter, _, body = text[2:].partition("\n")
                script = f"cat > /tmp/.corten-heredoc <<'CORTEN_EOF'\n#!{interpreter}\n{body}CORTEN_EOF\n"
                run = "chmod 755 /tmp/.corten-heredoc && /tmp/.corten-heredoc; s=$?; rm -f /tmp/.corten-heredoc; exit $s"
                return ["/bin/sh", "-c", script + run], " ".join([*state.shell, f"/dev/pipes/{first.name}"])
        else:
            text += "".join(f"\n{h.content}{h.name}" for h in step.heredocs)
    return [*state.shell, text], " ".join([*state.shell, text])


def _environment(state: ImageState, options: BuildOptions) -> list[str]:
    """Proxies are there without being declared; they are no part of the cache key."""
    proxies = {name: value for name, value in options.build_args.items() if name in PROXY_ARGS and value is not None}
    env = proxies | state.variables
    env.setdefault("PATH", DEFAULT_PATH)
    return [f"{name}={value}" for name, value in env.items()]


def _noted_args(state: ImageState) -> str:
    args = [f"{name}={value or ''}" for name, value in state.args.items() if name not in PROXY_ARGS]
    return f"|{len(args)} {' '.join(args)} " if args else ""


def _network(step: ins.Run, ctx: StepContext) -> str:
    return step.network if step.network not in ("", "default") else ctx.options.network
