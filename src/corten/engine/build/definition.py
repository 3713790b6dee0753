"""A build whose definition is loaded: the Dockerfile is parsed, its sources are open."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from corten.build.dockerfile.instructions import Dockerfile
from corten.build.dockerfile.parser import parse
from corten.build.events import Emit
from corten.build.graph import binds_context
from corten.build.options import BuildOptions, Sources
from corten.build.solve import Build, SolveResult, global_values
from corten.build.worker import Worker
from corten.engine.build.contexts.dockerfile import ignore_rules, read_dockerfile
from corten.engine.build.contexts.remote import fetched_tree
from corten.engine.build.contexts.source import BuildInputs
from corten.engine.build.image_resolver import BaseImageResolver
from corten.engine.build.provenance import ProvenanceCapture
from corten.engine.build.request import BuildRequest
from corten.engine.build.sboms.options import ScanTarget, scan_targets
from corten.engine.build.solve_options import BuildDefaults, SolveOptions, named_images, remote_contexts, with_solve_options
from corten.engine.build.subrequests import answer_subrequest
from corten.engine.build.vertices import InternalVertices
from corten.store.opened import Store
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDefinition:
    """`given` are the options outside the query; `started` in seconds since the epoch."""

    request: BuildRequest
    given: SolveOptions
    options: BuildOptions
    text: str
    dockerfile: Dockerfile
    images: BaseImageResolver
    sources: Sources
    started: float

    async def answer(self, emit: Emit) -> bool:
        """Lints, and answers the client's subrequest; whether a build is to follow. Raises Invalid where lint errors fail the build."""
        await answer_subrequest(self.given.call, self.dockerfile, self.options, self.sources, emit)
        return self.given.call == "build"

    async def solve(self, worker: Worker, lease: Lease, emit: Emit, *, no_cache: bool = False) -> SolveResult:
        options = replace(self.options, no_cache=True) if no_cache else self.options
        return await Build(self.dockerfile, options, self.sources, worker, lease, emit).run()

    def scan_targets(self, result: SolveResult) -> list[ScanTarget]:
        """What an SBOM of the result lists."""
        return scan_targets(result, global_values(self.dockerfile, self.options), self.sources.context)

    def capture(self, result: SolveResult) -> ProvenanceCapture:
        return ProvenanceCapture(
            options=self.options,
            dockerfile=self.request.dockerfile,
            text=self.text,
            remote=self.request.remote,
            started=self.started,
            materials=self.images.materials(),
            steps=list(result.records.values()),
            stages=[self.dockerfile.stages[index] for index in result.stages],
        )


async def load_definition(
    request: BuildRequest,
    store: Store,
    images: BaseImageResolver,
    defaults: BuildDefaults,
    vertices: InternalVertices,
    stack: AsyncExitStack,
) -> BuildDefinition:
    """The definition; `stack` keeps its sources open. Raises DockerfileError, and what the context source raises."""
    started = time.time()
    inputs = await stack.enter_async_context(request.source.opened(store, vertices))
    options = with_solve_options(request.options, inputs.options, defaults)
    for name, url in remote_contexts(inputs.options).items():
        tree = fetched_tree(url, store, vertices, keep_git_dir=options.keep_git_dir)
        inputs.named[name] = await stack.enter_async_context(tree)
    text = await _dockerfile_text(request, inputs, vertices)
    request.explain(text)
    dockerfile = parse(text, request.dockerfile, options.frontend)
    inputs.context.may_link = inputs.is_disposable and not binds_context(dockerfile) and not inputs.options.sbom
    sources = Sources(
        context=inputs.context,
        named={**inputs.named, **named_images(inputs.options)},
        images=images,
        secrets=inputs.secrets,
        agents=inputs.agents,
    )
    return BuildDefinition(
        request=request,
        given=inputs.options,
        options=options,
        text=text,
        dockerfile=dockerfile,
        images=images,
        sources=sources,
        started=started,
    )


async def _dockerfile_text(request: BuildRequest, inputs: BuildInputs, vertices: InternalVertices) -> str:
    """Sets the context's ignore rules too, unless the source has done both."""
    if inputs.text is not None:
        return inputs.text
    with vertices.step(f"load build definition from {request.dockerfile}") as step:
        text = await asyncio.to_thread(read_dockerfile, inputs.context, request.dockerfile, inputs.dockerfile)
        vertices.progress(step, "transferring dockerfile", len(text.encode()))
    beside = "" if inputs.dockerfile is not None else request.dockerfile
    inputs.context.rules = ignore_rules(inputs.context, beside, inputs.dockerignore)
    return text
