"""The instructions that make no files: they change the stage's config and variables only."""

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from corten.build.dockerfile import instructions as ins
from corten.build.imagestate import ImageState
from corten.errors import Invalid
from corten.oci.image import Healthcheck
from corten.units import format_duration

MOST_PORTS: Final = 3 * 65535
LARGEST_VARIABLES: Final = 8 << 20
_REALTIME = re.compile(r"RTMIN(\+([0-9]|1[0-5]))?|RTMAX(-([0-9]|1[0-4]))?")
_SIGNALS = frozenset(s.name.removeprefix("SIG") for s in signal.Signals) | {"CLD", "POLL", "IO", "STKFLT", "UNUSED"}
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArgValues:
    """What an ARG finds: `given` on the command line (strongest), `inherited` from before the first FROM (where it has no default)."""

    given: Mapping[str, str]
    inherited: Mapping[str, str]


def apply_metadata(state: ImageState, step: ins.Instruction, values: ArgValues, created: str) -> ImageState | None:
    """The image after `step`; None when `step` is one that makes files (RUN, COPY, ADD, WORKDIR). Raises Invalid."""
    if isinstance(step, ins.Arg):
        return _arg(state, step, values, created)
    change = _CHANGES.get(type(step))
    return change(state, step, created) if change else None


def _env(state: ImageState, step: ins.Env, created: str) -> ImageState:
    """All values of one instruction see the variables as they were before it."""
    expand = state.expander()
    found = [(expand.word(k), expand.word(v)) for k, v in step.pairs]
    noted = " ".join(f"{k}={v}" for k, v in found)
    changed = replace(state, args_above_env=state.args_above_env - {k for k, _ in found})
    return _within_limits(changed.with_env(dict(found))).noted(f"ENV {noted}", created)


def _within_limits(state: ImageState) -> ImageState:
    """Values made of values double with each line: a few dozen lines would fill the memory."""
    if sum(map(len, state.config.env or ())) + sum(len(value or "") for value in state.args.values()) > LARGEST_VARIABLES:
        text = f"the variables of the stage are larger than {LARGEST_VARIABLES >> 20} MiB together"
        raise Invalid(text, reason="variables-size")
    return state


def _label(state: ImageState, step: ins.Label, created: str) -> ImageState:
    expand = state.expander()
    found = {expand.word(k): expand.word(v) for k, v in step.pairs}
    noted = " ".join(f"{k}={v}" for k, v in found.items())
    return state.with_config(labels={**(state.config.labels or {}), **found}).noted(f"LABEL {noted}", created)


def _arg(state: ImageState, step: ins.Arg, values: ArgValues, created: str) -> ImageState:
    args = dict(state.args)
    for name, default in step.pairs:
        value = values.given.get(name)
        if value is None and default is not None:
            value = replace(state, args=args).expander().word(default)
        args[name] = values.inherited.get(name) if value is None else value
    text = " ".join(name if args[name] is None else f"{name}={args[name]}" for name, _ in step.pairs)
    above = state.args_above_env | {name for name, _ in step.pairs if args[name] is not None}
    return _within_limits(replace(state, args=args, args_above_env=above)).noted(f"ARG {text}", created)


def _argv(state: ImageState, command: ins.Command) -> list[str]:
    return [*state.shell, command.text] if command.is_shell else list(command.argv or ())


def _json(argv: list[str]) -> str:
    return "[" + " ".join(f'"{a}"' for a in argv) + "]"


def _cmd(state: ImageState, step: ins.Cmd, created: str) -> ImageState:
    argv = _argv(state, step.command)
    changed = state.with_config(cmd=argv, args_escaped=True)
    return replace(changed, has_cmd=True).noted(f"CMD {_json(argv)}", created)


def _entrypoint(state: ImageState, step: ins.Entrypoint, created: str) -> ImageState:
    argv = _argv(state, step.command)
    cmd = state.config.cmd if state.has_cmd else None
    return state.with_config(entrypoint=argv, cmd=cmd).noted(f"ENTRYPOINT {_json(argv)}", created)


def _expose(state: ImageState, step: ins.Expose, created: str) -> ImageState:
    expand = state.expander()
    ports: dict[str, None] = {}
    listed = 0
    for word in step.ports:
        for text in expand.words(word):
            found = _ports(text)
            listed += len(found)
            if listed > MOST_PORTS:
                raise Invalid(f"EXPOSE lists more than {MOST_PORTS} ports", reason="bad-port")
            ports |= dict.fromkeys(found)
    exposed = {**(state.config.exposed_ports or {}), **{p: {} for p in ports}}
    return state.with_config(exposed_ports=exposed).noted(f"EXPOSE [{' '.join(sorted(ports))}]", created)


def _ports(text: str) -> list[str]:
    match = _PORT.fullmatch(text.rpartition(":")[2])
    if not match:
        raise Invalid(f"invalid containerPort: {text}", reason="bad-port")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last <= 65535:
        raise Invalid(f"invalid containerPort: {text}", reason="bad-port")
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(first, last + 1)]


def _volume(state: ImageState, step: ins.Volume, created: str) -> ImageState:
    expand = state.expander()
    paths = [expand.word(p) for p in step.paths]
    if any(not p for p in paths):
        raise Invalid("VOLUME specified can not be an empty string", reason="bad-volume")
    volumes = {**(state.config.volumes or {}), **{p: {} for p in paths}}
    return state.with_config(volumes=volumes).noted(f"VOLUME [{' '.join(paths)}]", created)


def _user(state: ImageState, step: ins.User, created: str) -> ImageState:
    user = state.expander().word(step.user)
    return state.with_config(user=user).noted(f"USER {user}", created)


def _stop_signal(state: ImageState, step: ins.StopSignal, created: str) -> ImageState:
    text = state.expander().word(step.signal)
    if not _is_signal(text):
        raise Invalid(f"invalid signal: {text}", reason="bad-signal")
    return state.with_config(stop_signal=text).noted(f"STOPSIGNAL {text}", created)


def _is_signal(text: str) -> bool:
    """Numbers 1 to 64, and names with or without SIG."""
    if text.isdecimal():
        return 0 < int(text) <= 64
    name = text.upper().removeprefix("SIG")
    return name in _SIGNALS or bool(_REALTIME.fullmatch(name))


def _shell(state: ImageState, step: ins.Shell, created: str) -> ImageState:
    return state.with_config(shell=list(step.argv)).noted(f"SHELL [{' '.join(step.argv)}]", created)


def _healthcheck(state: ImageState, step: ins.HealthCheck, created: str) -> ImageState:
    check = Healthcheck(
        test=list(step.test),
        interval=step.interval,
        timeout=step.timeout,
        start_period=step.start_period,
        start_interval=step.start_interval,
        retries=step.retries,
    )
    times = " ".join(f'"{format_duration(t)}"' for t in (check.interval, check.timeout, check.start_period, check.start_interval))
    noted = f"HEALTHCHECK &{{{_json(list(step.test))} {times} {_rune(check.retries)}}}"
    return state.with_config(healthcheck=check).noted(noted, created)


def _rune(number: int) -> str:
    """A number as Go's %q prints it."""
    return {7: "'\\a'", 8: "'\\b'", 9: "'\\t'", 10: "'\\n'"}.get(number) or (
        f"'{chr(number)}'" if 32 <= number < 127 else f"'\\x{number:02x}'"
    )


def _onbuild(state: ImageState, step: ins.OnBuild, created: str) -> ImageState:
    trigger = "".join([step.trigger, *(f"\n{h.content}{h.name}" for h in step.heredocs)])
    return state.with_config(on_build=[*(state.config.on_build or []), trigger])


def _maintainer(state: ImageState, step: ins.Maintainer, created: str) -> ImageState:
    name = state.expander().word(step.name)
    return replace(state, base=msgspec.structs.replace(state.base, author=name)).noted(f"MAINTAINER {name}", created)


_CHANGES: dict[type[ins.Instruction], Callable[[ImageState, Any, str], ImageState]] = {
    ins.Env: _env,
    ins.Label: _label,
    ins.Cmd: _cmd,
    ins.Entrypoint: _entrypoint,
    ins.Expose: _expose,
    ins.Volume: _volume,
    ins.User: _user,
    ins.StopSignal: _stop_signal,
    ins.Shell: _shell,
    ins.HealthCheck: _healthcheck,
    ins.OnBuild: _onbuild,
    ins.Maintainer: _maintainer,
}
