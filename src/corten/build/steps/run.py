"""RUN: a process in the stage's root, whose changes become a layer."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.quoting import go_quoted
from corten.build.draft import DEFAULT_PATH, PROXY_ARGS, Draft, step_key
from corten.build.events import StepOutput, StepRunning
from corten.build.flights import Output
from corten.build.options import BuildOptions, RunJob
from corten.build.steps.authorities import trust_authorities
from corten.build.steps.brake import Brake
from corten.build.steps.leave import check_leave
from corten.build.steps.mounts import MountedExtras, mount_key, opened_mounts
from corten.build.steps.surroundings import Done, Surroundings
from corten.errors import EngineError
from corten.ids import DiffId

MADE_BY_RUNTIME = ("proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf")


class RunFailed(EngineError):
    """The command of a RUN ended with a status that is not 0."""

    kind = "system"

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f"process {go_quoted(command)} did not complete successfully: exit code: {status}", reason="run-failed")
        self.command = command
        self.status = status


async def run_step(draft: Draft, step: ins.Run, step_id: str, around: Surroundings) -> Done:
    """Raises RunFailed, Denied for what needs an entitlement, Invalid for a bad mount."""
    devices = check_leave(step, around.options.entitlements, around.executor.devices)
    argv, shown = _command(draft, step)
    env = _environment(draft, around.options)
    key = step_key(
        draft.key, "RUN", argv, [e for e in env if e.partition("=")[0] not in PROXY_ARGS], draft.config.user, draft.workdir, step.network
    )
    key = step_key(key, *[await mount_key(draft, m, around) for m in step.mounts])
    if around.options.hostname:
        key = step_key(key, "hostname", around.options.hostname)
    if devices:
        key = step_key(key, "devices", [found.recipe for found in devices])
    created_by = f"RUN {_noted_args(draft)}{shown} # buildkit"
    if (found := await _known(key, draft, "" if step.mounts or devices else created_by, around)) is not None:
        return _done(draft, key, found[0], created_by, around, cached=True)

    def output(stream: str, data: bytes) -> None:
        around.emit(StepOutput(step_id, stream, data))

    around.emit(StepRunning(step_id))
    names = tuple(dict.fromkeys(name for found in devices for name in found.devices))
    ran = _Running(draft, step, key, created_by, shown, argv, env, around, names)
    return _done(draft, key, await around.made_once(key, output, ran.once), created_by, around, cached=False)


@dataclass(frozen=True, slots=True)
class _Running:
    """A RUN that no cache knows. `argv` is run with `env`; `shown` is how people see it."""

    draft: Draft
    step: ins.Run
    key: str
    created_by: str
    shown: str
    argv: list[str]
    env: list[str]
    around: Surroundings
    devices: tuple[str, ...] = ()

    async def once(self, output: Output) -> DiffId | None:
        """The layer that it made. Raises RunFailed."""
        workshop, draft = self.around.workshop, self.draft
        snapshot = await asyncio.to_thread(workshop.prepare, draft.layers)
        try:
            async with AsyncExitStack() as stack:
                extra = await opened_mounts(draft, self.step, self.around, stack)
                trust_authorities(extra, self.around, draft.variables, stack)
                brought = self.around.executor.devices.targets(self.devices) if self.devices else []
                stubs = await asyncio.to_thread(workshop.absent, draft.layers, [*MADE_BY_RUNTIME, *extra.targets, *brought])
                try:
                    status = await self.around.executor.run(self._job(snapshot, extra), output)
                except EngineError as error:
                    raise _did_not_start(self.shown, error) from error
            if status != 0:
                raise RunFailed(self.shown, status)
            await asyncio.to_thread(workshop.remove_stubs, snapshot, stubs)
            layer = await asyncio.to_thread(workshop.seal, snapshot)
        except BaseException:
            workshop.drop(snapshot)
            raise
        self.around.cache.put(self.key, layer, self.created_by)
        return layer

    def _job(self, snapshot: str, extra: MountedExtras) -> RunJob:
        options = self.around.options
        return RunJob(
            snapshot=snapshot,
            argv=tuple(self.argv),
            env=(*self.env, *extra.env),
            cwd=self.draft.workdir,
            user=self.draft.config.user,
            network=_network(self.step, self.around),
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


async def _known(key: str, draft: Draft, created_by: str, around: Surroundings) -> tuple[DiffId | None] | None:
    if around.elsewhere is None:
        return around.cached(key, draft)
    return await Brake(around.give_up).in_thread(lambda: around.cached(key, draft, created_by))


def _did_not_start(command: str, error: EngineError) -> EngineError:
    text = f"process {go_quoted(command)} did not complete successfully: {error.message}"
    return type(error)(text, reason=error.reason, hint=error.hint)


def _done(draft: Draft, key: str, layer: DiffId | None, created_by: str, around: Surroundings, *, cached: bool) -> Done:
    after = draft.with_layer(key, layer)
    return Done(after.noted(created_by, around.created, empty=layer is None), cached, layer)


def _command(draft: Draft, step: ins.Run) -> tuple[list[str], str]:
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
                return ["/bin/sh", "-c", script + run], " ".join([*draft.shell, f"/dev/pipes/{first.name}"])
        else:
            text += "".join(f"\n{h.content}{h.name}" for h in step.heredocs)
    return [*draft.shell, text], " ".join([*draft.shell, text])


def _environment(draft: Draft, options: BuildOptions) -> list[str]:
    """Proxies are there without being declared; they are no part of the cache key."""
    proxies = {name: value for name, value in options.build_args.items() if name in PROXY_ARGS and value is not None}
    env = proxies | draft.variables
    env.setdefault("PATH", DEFAULT_PATH)
    return [f"{name}={value}" for name, value in env.items()]


def _noted_args(draft: Draft) -> str:
    args = [f"{name}={value or ''}" for name, value in draft.args.items() if name not in PROXY_ARGS]
    return f"|{len(args)} {' '.join(args)} " if args else ""


def _network(step: ins.Run, around: Surroundings) -> str:
    return step.network if step.network not in ("", "default") else around.options.network
