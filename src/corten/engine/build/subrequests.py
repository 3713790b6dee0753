"""Subrequests (lint, outline, targets), and linting before a build, with the variables of the base images that can be resolved."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace

from corten.build.checks import LintInput, checked, parse_check, refuse
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.events import Emit, SubrequestResult
from corten.build.files.tree import Tree
from corten.build.graph import Graph
from corten.build.imagestate import ImageState
from corten.build.options import BuildOptions, Sources
from corten.build.outline import CALLS, describe
from corten.build.solve import global_values
from corten.errors import EngineError
from corten.oci.defaults import DEFAULT_PATH


async def answer_subrequest(call: str, file: ins.Dockerfile, options: BuildOptions, sources: Sources, emit: Emit) -> None:
    """Answers `build --call`: an outline or the targets without a look at any image, else the checks. Raises as `lint`."""
    source = {"filename": file.name, "sources": [base64.b64encode(file.source.encode()).decode()]}
    if call in CALLS:
        given = {name: value for name, value in options.build_args.items() if value is not None}
        emit(SubrequestResult(describe(call, file, options.target, given, global_values(file, options)) | source))
        return
    await lint(file, options, sources, emit)
    if call == "check":
        emit(SubrequestResult(source))


async def lint(file: ins.Dockerfile, options: BuildOptions, sources: Sources, emit: Emit) -> None:
    """Emits what the checks say. Raises Invalid when the file wants such a build to fail."""
    said = parse_check(file.directives.get("check", ""))
    values = global_values(file, options)
    checking = LintInput(
        file=file,
        values=values,
        defaults=global_values(file, replace(options, build_args={})),
        declared=frozenset(name for arg in file.global_args for name, _ in arg.pairs),
        environments=await _environments(file, options, sources, values),
        ignored=sources.context.rules if sources.context else None,
    )
    warned = await asyncio.to_thread(lambda: list(checked(checking, said, options.target)))
    for warning in warned:
        emit(warning)
    if said.error:
        refuse(warned)


async def _environments(
    file: ins.Dockerfile, options: BuildOptions, sources: Sources, values: Mapping[str, str]
) -> dict[str, Mapping[str, str]]:
    """By image name; an image that cannot be had is left to the build, which says why."""
    graph = Graph(file, frozenset(sources.named))
    found: dict[str, Mapping[str, str]] = {"scratch": {"PATH": DEFAULT_PATH}}
    for stage in graph.needed(graph.target(options.target)):
        try:
            name = Expander(values, escape=file.escape).word(stage.base.image)
            known = sources.named.get(name, name)
            if name in found or graph.find(name, stage.index) or isinstance(known, Tree) or not name:
                continue
            base = await sources.images.resolve(known, pull=options.pull, platform=options.platform)
        except EngineError:
            continue
        env = ImageState(key="", config=base.config.run).env
        found[name] = {"PATH": DEFAULT_PATH, **env}
        await asyncio.sleep(0)
    return found
