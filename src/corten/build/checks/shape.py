"""Checks that need no variables: spelling, order, names, forms."""

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from corten.build.checks.finding import Finding, LintInput, at
from corten.build.dockerfile import instructions as ins
from corten.quoting import go_quoted

RESERVED = frozenset({"context", "scratch"})
_SECRET = re.compile(r"(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE)
_PUBLIC = re.compile(r"(?:_|^)public(?:_|$)", re.IGNORECASE)
_ONCE = {ins.Cmd: "CMD", ins.Entrypoint: "ENTRYPOINT", ins.HealthCheck: "HEALTHCHECK"}


def shape_findings(checking: LintInput) -> Iterator[Finding]:
    file = checking.file
    yield from _casing(file)
    yield from _continuations(file)
    yield from _stage_names(file)
    for arg in file.global_args:
        yield from _argument(arg)
    for stage in file.stages:
        yield from _once_each(stage)
        yield from _workdirs(stage)
        yield from _json_form(stage)
        for step in stage.steps:
            check = _STEPS.get(type(step))
            if check is not None:
                yield from check(step)
            if isinstance(step, ins.Copy) and checking.ignored is not None:
                yield from _ignored_sources(step, checking)


def _every(file: ins.Dockerfile) -> Iterator[ins.Instruction]:
    for stage in file.stages:
        yield stage.base
        yield from stage.steps


def _keyword(step: ins.Instruction) -> str:
    return step.place.text.split(None, 1)[0]


def _casing(file: ins.Dockerfile) -> Iterator[Finding]:
    words = [(_keyword(step), step.place) for step in _every(file)]
    lower = sum(word.islower() for word, _ in words)
    wanted = "lowercase" if lower > sum(word.isupper() for word, _ in words) else "uppercase"
    for word, place in words:
        if word != (word.lower() if wanted == "lowercase" else word.upper()):
            yield at("ConsistentInstructionCasing", f"Command '{word}' should match the case of the command majority ({wanted})", place)


def _continuations(file: ins.Dockerfile) -> Iterator[Finding]:
    for step in (*file.global_args, *_every(file)):
        if step.place.empty_continuation:
            end = step.place.end
            yield Finding("NoEmptyContinuation", "Empty continuation line", end, end)


def _stage_names(file: ins.Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in file.stages:
        name, place = stage.base.name, stage.base.place
        words = place.text.split()
        word = next((w for w in words[2:] if w.lower() == "as"), "")
        if word and word.isupper() != words[0].isupper():
            yield at("FromAsCasing", f"'{word}' and '{words[0]}' keywords' casing do not match", place)
        if not name:
            continue
        if name != name.lower():
            yield at("StageNameCasing", f"Stage name '{name}' should be lowercase", place)
        if name.lower() in RESERVED:
            yield at("ReservedStageName", f"Stage name should not use the same name as reserved stage {go_quoted(name.lower())}", place)
        if name.lower() in seen:
            yield at("DuplicateStageName", f"Duplicate stage name {go_quoted(name)}, stage names should be unique", place)
        seen.add(name.lower())
        yield from _description("FROM", [name], place)


def _description(keyword: str, names: list[str], place: ins.SourceLocation) -> Iterator[Finding]:
    last = place.comment.split("\n")[-1]
    if last and last.split(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        text = f"Comment for {keyword} should follow the format: `# {example} <description>`"
        yield at("InvalidDefinitionDescription", text, place)


def _argument(step: ins.Arg) -> Iterator[Finding]:
    names = [name for name, _ in step.pairs]
    yield from _description("ARG", names, step.place)
    yield from _secrets("ARG", names, step.place)


def _secrets(keyword: str, names: list[str], place: ins.SourceLocation) -> Iterator[Finding]:
    for name in names:
        if _SECRET.search(name) and not _PUBLIC.search(name):
            text = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {go_quoted(name)})"
            yield at("SecretsUsedInArgOrEnv", text, place)


def _pairs(step: ins.Env | ins.Label) -> Iterator[Finding]:
    keyword = "ENV" if isinstance(step, ins.Env) else "LABEL"
    if step.legacy:
        text = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
        yield at("LegacyKeyValueFormat", text, step.place)
    if isinstance(step, ins.Env):
        yield from _secrets("ENV", [name for name, _ in step.pairs], step.place)


def _once_each(stage: ins.Stage) -> Iterator[Finding]:
    last: dict[str, ins.SourceLocation] = {}
    for step in stage.steps:
        keyword = _ONCE.get(type(step))
        if keyword is None:
            continue
        if keyword in last:
            text = f"Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            yield at("MultipleInstructionsDisallowed", text, last[keyword])
        last[keyword] = step.place


def _workdirs(stage: ins.Stage) -> Iterator[Finding]:
    for step in stage.steps:
        if isinstance(step, ins.Workdir):
            if not step.path.startswith(("/", "$")):
                text = f"Relative workdir {go_quoted(step.path)} can have unexpected results if the base image changes"
                yield at("WorkdirRelativePath", text, step.place)
            return


def _json_form(stage: ins.Stage) -> Iterator[Finding]:
    for step in stage.steps:
        if isinstance(step, ins.Shell):
            return
        if isinstance(step, ins.Cmd | ins.Entrypoint) and step.command.is_shell:
            text = f"JSON arguments recommended for {_ONCE[type(step)]} to prevent unintended behavior related to OS signals"
            yield at("JSONArgsRecommended", text, step.place)


def _maintainer(step: ins.Maintainer) -> Iterator[Finding]:
    yield at("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", step.place)


def _expose(step: ins.Expose) -> Iterator[Finding]:
    for port in step.ports:
        protocol = port.partition("/")[2]
        if protocol != protocol.lower():
            yield at("ExposeProtoCasing", f"Defined protocol '{port}' in EXPOSE instruction should be lowercase", step.place)
        if ":" in port and "$" not in port:
            text = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            yield at("ExposeInvalidFormat", text, step.place)


def _ignored_sources(step: ins.Copy, checking: LintInput) -> Iterator[Finding]:
    assert checking.ignored is not None
    if step.from_:
        return
    for source in step.sources:
        clean = posixpath.normpath("/" + source).lstrip("/")
        if clean and "://" not in source and checking.ignored.ignores(clean):
            name = "Add" if step.is_add else "Copy"
            text = f"Attempting to {name} file {go_quoted(source)} that is excluded by .dockerignore"
            yield at("CopyIgnoredFile", text, step.place)


_STEPS: dict[type[ins.Instruction], Callable[[Any], Iterator[Finding]]] = {
    ins.Arg: _argument,
    ins.Env: _pairs,
    ins.Label: _pairs,
    ins.Maintainer: _maintainer,
    ins.Expose: _expose,
}
