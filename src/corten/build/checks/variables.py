"""Checks of variables: FROM lines against the global ones, a stage's instructions against what is known at each."""

from collections.abc import Iterator, Mapping, Sequence

from corten.build.checks.finding import Finding, LintInput, at
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.suggest import nearest
from corten.build.imagestate import PROXY_ARGS
from corten.errors import EngineError
from corten.oci.platform import parse_platform
from corten.oci.reference import parse_reference
from corten.quoting import go_quoted


def variable_findings(checking: LintInput, reached: Sequence[ins.Stage]) -> Iterator[Finding]:
    """Base lines of every stage; the steps of those that are built."""
    known: dict[str, Mapping[str, str]] = {}
    for stage in checking.file.stages:
        yield from _base(checking, stage)
    for stage in reached:
        image = Expander(checking.values, escape=checking.file.escape)
        name = _quietly(image, stage.base.image)
        env = dict(known.get(name.lower()) or checking.environments.get(name, {}))
        yield from _steps(checking, stage, env)
        known[stage.name or str(stage.index)] = env


def _base(checking: LintInput, stage: ins.Stage) -> Iterator[Finding]:
    base, escape = stage.base, checking.file.escape
    expand = Expander(checking.values, escape=escape)
    for text in (base.platform, base.image):
        _quietly(expand, text)
    for name in sorted((expand.used - set(checking.values)) - checking.declared):
        text = f"FROM argument '{name}' is not declared{_meant(name, [*checking.declared, *checking.values], '')}"
        yield at("UndefinedArgInFrom", text, base.place)
    by_default = Expander(checking.defaults, escape=escape)
    if not _is_reference(_quietly(by_default, base.image)):
        text = f"Default value for ARG {base.image} results in empty or invalid base image name"
        yield at("InvalidDefaultArgInFrom", text, base.place)
    if base.platform:
        yield from _platform(checking, stage)


def _platform(checking: LintInput, stage: ins.Stage) -> Iterator[Finding]:
    base = stage.base
    expand = Expander(checking.values, escape=checking.file.escape)
    value = _quietly(expand, base.platform)
    if expand.used == {"TARGETPLATFORM"} and value == checking.values.get("TARGETPLATFORM"):
        text = f"Setting platform to predefined {base.platform} in FROM is redundant as this is the default behavior"
        yield at("RedundantTargetPlatform", text, base.place)
    if expand.used:
        return
    try:
        platform = parse_platform(value)
    except EngineError:
        return
    if platform.os not in base.name and platform.architecture not in base.name:
        text = f"FROM --platform flag should not use constant value {go_quoted(value)}"
        yield at("FromPlatformFlagConstDisallowed", text, base.place)


def _steps(checking: LintInput, stage: ins.Stage, env: dict[str, str]) -> Iterator[Finding]:
    """`env` becomes what the stage leaves behind."""
    args: dict[str, str] = {}
    declared: set[str] = set(PROXY_ARGS)
    for step in stage.steps:
        expand = Expander({**args, **env}, escape=checking.file.escape)
        values = [(text, _quietly(expand, text)) for text in _texts(step)]
        for name in sorted(name for name in expand.used if name not in expand.values and name not in declared):
            meant = _meant(name, [*env, *args, *declared], "$")
            yield at("UndefinedVar", f"Usage of undefined variable '${name}'{meant}", step.place)
        if isinstance(step, ins.Env):
            env |= {key: dict(values).get(value, "") for key, value in step.pairs}
        elif isinstance(step, ins.Arg):
            declared |= {name for name, _ in step.pairs}
            args |= {name: checking.values[name] for name, _ in step.pairs if name in checking.values}
            args |= {name: dict(values).get(default, "") for name, default in step.pairs if default is not None}


def _texts(step: ins.Instruction) -> list[str]:
    """The words of an instruction in which variables are replaced."""
    match step:
        case ins.Env() | ins.Label():
            return [value for _, value in step.pairs]
        case ins.Arg():
            return [value for _, value in step.pairs if value is not None]
        case ins.Copy():
            return [*step.sources, step.target, step.chown, step.chmod]
        case ins.Expose():
            return list(step.ports)
        case ins.Volume():
            return list(step.paths)
        case ins.User():
            return [step.user]
        case ins.Workdir():
            return [step.path]
        case ins.StopSignal():
            return [step.signal]
    return []


def _quietly(expand: Expander, text: str) -> str:
    """ "" where the text cannot be expanded: the build itself says so."""
    try:
        return expand.word(text)
    except EngineError:
        return ""


def _is_reference(text: str) -> bool:
    if text == "scratch":
        return True
    try:
        parse_reference(text)
    except EngineError:
        return False
    return True


def _meant(name: str, known: Sequence[str], mark: str) -> str:
    found = nearest(name, known)
    return f" (did you mean {mark}{found}?)" if found else ""
