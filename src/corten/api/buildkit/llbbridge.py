"""moby.buildkit.v1.frontend.LLBBridge: a client that drives its build itself asks the frontend here, then returns a result.

    Control.Solve (no frontend) ─────────────────────────────────▶ the answer
        LLBBridge.Ping · LLBBridge.Solve ─▶ an id · LLBBridge.Return

The build begins with Return: only then is it sure what is wanted of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from corten.api.buildkit.control import worker
from corten.api.buildkit.errdefs import call_failed
from corten.api.buildkit.frontend_attrs import check_frontend, read_attributes
from corten.api.buildkit.jobs import Job, Jobs
from corten.api.buildkit.messages.gateway import (
    BridgeSolveRequest,
    BridgeSolveResponse,
    Capability,
    PongResponse,
    Result,
    ResultRef,
    ReturnRequest,
)
from corten.api.buildkit.messages.worker import Empty
from corten.api.buildkit.solver import Solver
from corten.build.events import CheckWarning
from corten.errors import EngineError
from corten.http.grpc.calls import Method, one_to_one
from corten.http.grpc.connection import Call
from corten.http.grpc.status import CallFailed, Code

SERVICE: Final = "/moby.buildkit.v1.frontend.LLBBridge"
BUILD_ID: Final = "buildkit-controlapi-buildid"
_FRONTEND: Final = ("frontend.caps", "gateway.solve.metadata", "importcaches", "proto.refarray", "return", "returnmap", "solve.base")
_LLB: Final = (
    "constraints", "exporter.multiple", "exporter.session", "exporter.sourcedateepoch", "meta.description", "platform", "source.image",
    "source.image.resolvemode", "source.local", "source.local.excludepatterns", "source.local.followpaths", "source.local.sessionid",
    "source.local.sharedkeyhint",
)  # fmt: skip
"""What clients ask for before they use it. Graphs of operations are in neither list: Corten's frontend makes none."""
_NO_LLB: Final = "Corten builds Dockerfiles only"


class LLBBridge:
    """Belongs to the event loop."""

    def __init__(self, solver: Solver, jobs: Jobs) -> None:
        self._solver = solver
        self._jobs = jobs

    def methods(self) -> Mapping[str, Method]:
        return {
            f"{SERVICE}/Ping": one_to_one(Empty, self._ping),
            f"{SERVICE}/Solve": one_to_one(BridgeSolveRequest, self._solve),
            f"{SERVICE}/Return": one_to_one(ReturnRequest, self._return),
        }

    async def _ping(self, call: Call, request: Empty) -> PongResponse:
        await self._job(call)
        frontend = [Capability(name, True) for name in _FRONTEND]
        llb = [Capability(name, True) for name in _LLB]
        llb += [Capability(name, False, "unsupported", _NO_LLB) for name in ("mergeop", "diffop")]
        return PongResponse(frontend, llb, [worker()])

    async def _solve(self, call: Call, request: BridgeSolveRequest) -> BridgeSolveResponse:
        job = await self._job(call)
        if (request.definition is not None and request.definition.operations) or request.frontend_inputs:
            raise CallFailed(Code.UNIMPLEMENTED, f"{_NO_LLB}: graphs of BuildKit's own (LLB) are not supported")
        if not request.frontend:
            return BridgeSolveResponse("", Result(ResultRef()))
        try:
            check_frontend(request.frontend, request.frontend_opt)
            frontend = read_attributes(request.frontend_opt, job.request.entitlements, (), request.cache_imports)
            if frontend.solve.call != "build":
                described, warned = await self._solver.describe(job, request.frontend_opt)
                return BridgeSolveResponse("", Result(ResultRef(), None, _found(frontend.solve.call, described, warned)))
            return BridgeSolveResponse("", Result(ResultRef(job.promise(request.frontend_opt))))
        except EngineError as error:
            raise call_failed(error) from error

    async def _return(self, call: Call, request: ReturnRequest) -> Empty:
        job = await self._job(call)
        if job.returned.done():
            raise CallFailed(Code.FAILED_PRECONDITION, "this build has returned a result already")
        job.returned.set_result(request)
        return Empty()

    async def _job(self, call: Call) -> Job:
        """The build that the call belongs to, as its metadata says."""
        ref = next(iter(call.metadata.get(BUILD_ID, ())), "")
        if not ref:
            raise CallFailed(Code.INVALID_ARGUMENT, "the gateway call has no build ID")
        try:
            return await self._jobs.get(ref)
        except EngineError as error:
            raise call_failed(error) from error


def _found(kind: str, described: Mapping[str, Any], warned: Sequence[CheckWarning]) -> dict[str, bytes]:
    """What a call that builds nothing answers, in BuildKit's form."""
    if kind != "check":
        return {"result.json": msgspec.json.encode(described), "version": b"1.0.0"}
    sources = [
        {"filename": described.get("filename", "Dockerfile"), "language": "Dockerfile", "data": data}
        for data in described.get("sources", ())
    ]
    value = {"warnings": [_warning(one) for one in warned], "sources": sources}
    return {"result.json": msgspec.json.encode(value), "result.statuscode": b"1" if warned else b"0", "version": b"1.0.0"}


def _warning(one: CheckWarning) -> dict[str, Any]:
    line = {"line": one.line}
    return {
        "ruleName": one.rule,
        "description": one.detail,
        "url": one.url,
        "detail": one.message,
        "location": {"ranges": [{"start": line, "end": line}]},
    }
