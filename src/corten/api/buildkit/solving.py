"""One solve: the client's attributes to a build, its events to the client's status, its result to the client's outputs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from corten.api.app import Services
from corten.api.buildkit.attributes import Asked, read_attributes
from corten.api.buildkit.failures import build_failed
from corten.api.buildkit.jobs import Job
from corten.api.buildkit.messages.solve import CacheEntry, CacheOptions, SourceInfo
from corten.api.buildkit.outputs import Delivering, Output, read_outputs
from corten.api.buildkit.session.contexts import KeptContexts
from corten.api.buildkit.session.delivering import SessionDelivery
from corten.api.buildkit.session.sessions import ClientSession, Sessions
from corten.api.buildkit.statuses import status_response
from corten.build.events import BuildEvent, Described, Warned
from corten.build.solve import StepFailed
from corten.engine.build.builds import BuildRequest, Built
from corten.engine.build.internal import Internal
from corten.engine.build.trace import Trace
from corten.engine.tasks import Tasks
from corten.errors import EngineError, Invalid, Unsupported
from corten.registry.auth import Credentials

DEFINITION_STEP = "internal-1"
"""The step that loads the Dockerfile, which warnings belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solving:
    """What solves stand on."""

    services: Services
    sessions: Sessions
    kept: KeptContexts
    tasks: Tasks

    async def solve(self, job: Job, attrs: Mapping[str, str], imports: list[CacheEntry]) -> dict[str, str]:
        """Builds, and hands the result on: the exporters' answer. Raises CallFailed and EngineError."""
        cache = job.request.cache or CacheOptions()
        asked = read_attributes(attrs, job.request.entitlements, cache.exports, [*cache.imports, *imports])
        outputs = read_outputs(job.request.outputs())
        session = await self.sessions.get(job.request.session)
        work = _Work(self, job, asked, session)
        built = await work.run(outputs)
        return await work.deliver(built, outputs)

    async def describe(self, job: Job, attrs: Mapping[str, str]) -> tuple[dict[str, Any], list[Warned]]:
        """Answers a call that builds nothing (`--check`, `--call`): what was found, and the warnings."""
        asked = read_attributes(attrs, (), (), ())
        work = _Work(self, job, asked, await self.sessions.get(job.request.session))
        await work.run([])
        return work.described, work.warned


class _Work:
    """One build for a client. Belongs to the event loop; events come from any thread."""

    def __init__(self, solving: Solving, job: Job, asked: Asked, session: ClientSession) -> None:
        self._on = solving
        self._job = job
        self._asked = asked
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._trace = Trace(f"{time.time_ns()} {job.request.ref}")
        self._text = ""
        self._credentials: dict[str, Credentials] = {}
        self.described: dict[str, Any] = {}
        self.warned: list[Warned] = []

    async def run(self, outputs: list[Output]) -> Built:
        tags = [tag for output in outputs for tag in output.tags]
        delivery = SessionDelivery(
            session=self._session,
            asked=self._asked,
            kept=self._on.kept,
            tasks=self._on.tasks,
            credentials=self._credentials,
            explain=self._explain,
            domains=frozenset(tag.domain for output in outputs if output.push for tag in output.tags),
        )
        request = BuildRequest(
            options=self._asked.options,
            dockerfile=self._asked.filename,
            remote=self._asked.context,
            tags=tags,
            explain=self._explain,
            credentials=self._credentials,
            deliver=delivery.delivered,
        )
        try:
            built = await self._on.services.builds.build(request, _nothing(), self._emit)
            await asyncio.sleep(0)  # the last events are told first
            return built
        except EngineError as error:
            await asyncio.sleep(0)  # the last events are told first
            vertex = self._trace.vertex(error.step_id) if isinstance(error, StepFailed) else ""
            raise build_failed(error, source=self._text, filename=self._asked.filename, vertex=vertex) from error

    async def deliver(self, built: Built, outputs: list[Output]) -> dict[str, str]:
        delivering = Delivering(
            services=self._on.services,
            layers=self._on.services.builds.layers,
            session=self._session,
            credentials=self._credentials,
            inside=Internal(self._emit, "output"),
        )
        return await delivering.deliver(built, outputs)

    def _explain(self, text: str) -> None:
        self._text = text

    def _emit(self, event: BuildEvent) -> None:
        self._loop.call_soon_threadsafe(self._tell, event)

    def _tell(self, event: BuildEvent) -> None:
        if isinstance(event, Described):
            self.described = dict(event.value)
            return
        if isinstance(event, Warned):
            self.warned.append(event)
        status = self._trace.of(event)
        if status is not None:
            source = SourceInfo(self._asked.filename, self._text.encode(), "Dockerfile")
            self._job.tell(status_response(status, definition=self._trace.vertex(DEFINITION_STEP), source=source))


async def _nothing() -> AsyncIterator[bytes]:
    """The body of a build whose parts come otherwise."""
    return
    yield b""


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
