"""One solve: frontend attributes become a build, its events the client's status messages, its image the exporters' input."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corten.api.buildkit.errdefs import build_failed
from corten.api.buildkit.exporters import ExportEntry, ResultExporter, read_exporters
from corten.api.buildkit.frontend_attrs import FrontendOptions, read_attributes
from corten.api.buildkit.jobs import Job
from corten.api.buildkit.messages.solve import CacheOptions, CacheOptionsEntry, SourceInfo
from corten.api.buildkit.session.context_source import SessionContext
from corten.api.buildkit.session.local_sources import LocalSources
from corten.api.buildkit.session.sessions import ClientSession, Sessions
from corten.api.buildkit.statuses import status_response
from corten.api.services import Services
from corten.build.events import BuildEvent, CheckWarning, SubrequestResult
from corten.build.solve import StepFailed
from corten.engine.build.contexts.remote import RemoteContext
from corten.engine.build.contexts.source import ContextSource
from corten.engine.build.request import BuildRequest, BuildResult
from corten.engine.build.trace import Trace
from corten.engine.build.vertices import InternalVertices
from corten.engine.tasks import Tasks
from corten.errors import EngineError, Invalid, Unsupported
from corten.registry.auth import Credentials

DEFINITION_STEP = "internal-1"
"""The step that loads the Dockerfile, which warnings belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """Control.Solve on the engine's builder."""

    services: Services
    sessions: Sessions
    local_sources: LocalSources
    tasks: Tasks

    async def solve(self, job: Job, attrs: Mapping[str, str], imports: list[CacheOptionsEntry]) -> dict[str, str]:
        """Builds, and hands the result on: the exporters' answer. Raises CallFailed and EngineError."""
        cache = job.request.cache or CacheOptions()
        frontend = read_attributes(attrs, job.request.entitlements, cache.exports, [*cache.imports, *imports])
        outputs = read_exporters(job.request.outputs())
        session = await self.sessions.get(job.request.session)
        solve = _Solve(self, job, frontend, session)
        built = await solve.run(outputs)
        return await solve.deliver(built, outputs)

    async def describe(self, job: Job, attrs: Mapping[str, str]) -> tuple[dict[str, Any], list[CheckWarning]]:
        """Answers a call that builds nothing (`--check`, `--call`): what was found, and the warnings."""
        frontend = read_attributes(attrs, (), (), ())
        solve = _Solve(self, job, frontend, await self.sessions.get(job.request.session))
        await solve.run([])
        return solve.described, solve.warned


class _Solve:
    """One build for a client. Belongs to the event loop; events come from any thread."""

    def __init__(self, solver: Solver, job: Job, frontend: FrontendOptions, session: ClientSession) -> None:
        self._solver = solver
        self._job = job
        self._frontend = frontend
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._trace = Trace(f"{time.time_ns()} {job.request.ref}")
        self._text = ""
        self._credentials: dict[str, Credentials] = {}
        self.described: dict[str, Any] = {}
        self.warned: list[CheckWarning] = []

    async def run(self, outputs: list[ExportEntry]) -> BuildResult:
        tags = [tag for output in outputs for tag in output.tags]
        source: ContextSource = SessionContext(
            session=self._session,
            frontend=self._frontend,
            local_sources=self._solver.local_sources,
            tasks=self._solver.tasks,
            credentials=self._credentials,
            explain=self._explain,
            domains=frozenset(tag.domain for output in outputs if output.push for tag in output.tags),
        )
        options, remote = self._frontend.options, self._frontend.context
        if remote:
            source = RemoteContext(remote, self._frontend.filename, options.keep_git_dir, source)
        request = BuildRequest(
            options=options,
            source=source,
            dockerfile=self._frontend.filename,
            remote=remote,
            tags=tags,
            explain=self._explain,
            credentials=self._credentials,
        )
        try:
            built = await self._solver.services.builds.build(request, self._emit)
            await asyncio.sleep(0)  # the last events are told first
            return built
        except EngineError as error:
            await asyncio.sleep(0)  # the last events are told first
            vertex = self._trace.vertex(error.step_id) if isinstance(error, StepFailed) else ""
            raise build_failed(error, source=self._text, filename=self._frontend.filename, vertex=vertex) from error

    async def deliver(self, built: BuildResult, outputs: list[ExportEntry]) -> dict[str, str]:
        exporter = ResultExporter(
            services=self._solver.services,
            layers=self._solver.services.builds.layers,
            session=self._session,
            credentials=self._credentials,
            vertices=InternalVertices(self._emit, "output"),
        )
        return await exporter.deliver(built, outputs)

    def _explain(self, text: str) -> None:
        self._text = text

    def _emit(self, event: BuildEvent) -> None:
        self._loop.call_soon_threadsafe(self._tell, event)

    def _tell(self, event: BuildEvent) -> None:
        if isinstance(event, SubrequestResult):
            self.described = dict(event.value)
            return
        if isinstance(event, CheckWarning):
            self.warned.append(event)
        status = self._trace.of(event)
        if status is not None:
            source = SourceInfo(self._frontend.filename, self._text.encode(), "Dockerfile")
            self._job.tell(status_response(status, definition=self._trace.vertex(DEFINITION_STEP), source=source))


def check_request(job: Job) -> None:
    """Raises Unsupported, Invalid for what no Dockerfile is asked for."""
    request = job.request
    if request.definition is not None and request.definition.operations:
        raise _no_llb()
    if request.frontend_inputs:
        raise _no_llb()
    if request.source_policy:
        raise Invalid("source policies are not supported", reason="source-policy")


def _no_llb() -> EngineError:
    return Unsupported(
        "Corten builds Dockerfiles only: graphs of BuildKit's own (LLB) are not supported",
        reason="llb",
        hint="contexts of bake that are other targets come as such a graph: build one target FROM the other's tag",
    )
