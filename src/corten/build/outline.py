"""What a Dockerfile asks for and offers, for `build --call`: the outline of one target, the list of all targets. No I/O.

The forms are BuildKit's (`frontend.outline`, `frontend.targets`), whose JSON scripts read.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.graph import Graph

Description = dict[str, Any]
CALLS: Final = frozenset({"outline", "targets"})
_ON: Final = frozenset({"", "true", "1"})


def describe(call: str, file: ins.Dockerfile, target: str, given: Mapping[str, str], globals_: Mapping[str, str]) -> Description:
    """`given` are the build arguments, `globals_` the values of the ARGs before the first FROM. Raises Invalid for no such target."""
    if call == "targets":
        return {"targets": [_target(stage, is_last=stage is file.stages[-1]) for stage in file.stages]}
    graph = Graph(file)
    stage = graph.target(target)
    needed = graph.needed(stage)
    found: Description = {"name": stage.base.name} if stage.base.name else {}
    if text := _comment_of(stage.base.place, stage.base.name):
        found["description"] = text
    parts = {"args": _arguments(file, needed, given, globals_), "secrets": _mounts(needed, "secret"), "ssh": _mounts(needed, "ssh")}
    return found | {key: rows for key, rows in parts.items() if rows}


def _target(stage: ins.Stage, *, is_last: bool) -> Description:
    found: Description = {"name": stage.base.name} if stage.base.name else {}
    if is_last:
        found["default"] = True
    if text := _comment_of(stage.base.place, stage.base.name):
        found["description"] = text
    return found | {"base": stage.base.image, "location": _location(stage.base.place)}


def _arguments(file: ins.Dockerfile, needed: list[ins.Stage], given: Mapping[str, str], globals_: Mapping[str, str]) -> list[Description]:
    """By place, each name once. An ARG before the first FROM counts where one of the stages reads it."""
    found: dict[str, Description] = {}
    read = set(_names_read(needed))
    for arg in file.global_args:
        for name, _ in arg.pairs:
            if name in read:
                found.setdefault(name, _argument(name, globals_.get(name, ""), arg.place))
    for stage in needed:
        values: dict[str, str] = {}
        for step in stage.steps:
            if isinstance(step, ins.Arg):
                for name, default in step.pairs:
                    value = given.get(name, globals_.get(name, "") if default is None else _expanded(default, values, file.escape))
                    values[name] = value
                    found.setdefault(name, _argument(name, value, step.place))
    return list(found.values())


def _names_read(stages: list[ins.Stage]) -> Iterator[str]:
    """Names that the stages' FROM lines hold as variables, and those that they declare without a default."""
    for stage in stages:
        for word in (stage.base.image, stage.base.platform):
            yield from _variables(word)
        for step in stage.steps:
            if isinstance(step, ins.Arg):
                yield from (name for name, default in step.pairs if default is None)


def _variables(word: str) -> Iterator[str]:
    """The beginnings of names behind each "$"; enough to find which of the known ones are meant."""
    for part in word.split("$")[1:]:
        text = part.removeprefix("{")
        size = next((n for n, letter in enumerate(text) if not (letter.isalnum() or letter == "_")), len(text))
        yield text[:size]


def _expanded(default: str, values: Mapping[str, str], escape: str) -> str:
    return Expander(dict(values), escape=escape).word(default)


def _argument(name: str, value: str, place: ins.SourceLocation) -> Description:
    found: Description = {"name": name}
    if text := _comment_of(place, name):
        found["description"] = text
    if value:
        found["value"] = value
    return found | {"location": _location(place)}


def _mounts(needed: list[ins.Stage], kind: str) -> list[Description]:
    """The secrets or agents that RUN steps ask for, each once; required where any step says so."""
    found: dict[str, Description] = {}
    runs = (step for stage in needed for step in stage.steps if isinstance(step, ins.Run))
    for step in runs:
        for mount in step.mounts:
            if mount.type != kind:
                continue
            name = mount.options.get("id") or (os.path.basename(mount.options.get("target", "")) if kind == "secret" else "default")
            row = found.setdefault(name, {"name": name, "location": _location(step.place)})
            if mount.options.get("required", "false").lower() in _ON:
                row["required"] = True
    return list(found.values())


def _comment_of(place: ins.SourceLocation, name: str) -> str:
    """What the comment right above says of `name`: the rest of the line that begins with it."""
    lines = (line.partition(" ") for line in place.comment.split("\n")) if name else ()
    return next((rest.strip() for word, _, rest in lines if word == name and rest.strip()), "")


def _location(place: ins.SourceLocation) -> Description:
    return {"ranges": [{"start": {"line": place.start}, "end": {"line": place.end}}]}
