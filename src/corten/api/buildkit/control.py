"""moby.buildkit.v1.Control: workers, disk use and prune, and the builds themselves."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from corten import __version__
from corten.api.buildkit.errdefs import call_failed
from corten.api.buildkit.frontend_attrs import check_frontend
from corten.api.buildkit.jobs import Job, Jobs
from corten.api.buildkit.messages.cache import DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord
from corten.api.buildkit.messages.solve import SolveRequest, SolveResponse, StatusRequest, StatusResponse
from corten.api.buildkit.messages.worker import (
    BuildkitVersion,
    Empty,
    InfoResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    PlatformMessage,
    Timestamp,
    WorkerRecord,
)
from corten.api.buildkit.solver import Solver, check_request
from corten.api.handlers.cleanup.prunes import cache_what
from corten.engine.build.builds import CacheUsage
from corten.errors import EngineError, Invalid
from corten.http.grpc.calls import Method, one_to_many, one_to_one
from corten.http.grpc.connection import Call
from corten.http.grpc.protobuf import encode
from corten.http.grpc.status import CallFailed, Code
from corten.oci.platform import host_platform

SERVICE: Final = "/moby.buildkit.v1.Control"
TRACES: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
VERSION: Final = BuildkitVersion("corten", f"v{__version__}", "")
_PRUNE_FILTERS: Final = ("until", "unused-for", "id", "type", "description", "shared", "private", "inuse", "parent", "mutable", "immutable")
_FILTER_NAMES: Final = {"ID": "id", "Type": "type"}


class Control:
    """Belongs to the event loop."""

    def __init__(self, solver: Solver, jobs: Jobs) -> None:
        self._solver = solver
        self._services = solver.services
        self._jobs = jobs

    def methods(self) -> Mapping[str, Method]:
        return {
            f"{SERVICE}/ListWorkers": one_to_one(ListWorkersRequest, self._workers),
            f"{SERVICE}/Info": one_to_one(Empty, self._info),
            f"{SERVICE}/DiskUsage": one_to_one(DiskUsageRequest, self._usage),
            f"{SERVICE}/Prune": one_to_many(PruneRequest, self._prune),
            f"{SERVICE}/Solve": one_to_one(SolveRequest, self._solve),
            f"{SERVICE}/Status": one_to_many(StatusRequest, self._status),
            TRACES: one_to_one(Empty, self._traces),
        }

    async def _workers(self, call: Call, request: ListWorkersRequest) -> ListWorkersResponse:
        return ListWorkersResponse([worker()])

    async def _info(self, call: Call, request: Empty) -> InfoResponse:
        return InfoResponse(VERSION)

    async def _traces(self, call: Call, request: Empty) -> Empty:
        """Clients send what they have measured; nobody collects it here."""
        return Empty()

    async def _usage(self, call: Call, request: DiskUsageRequest) -> DiskUsageResponse:
        what = _what(request.filter)
        found = [one for one in await self._services.builds.usage() if _is_wanted(one, what)]
        return DiskUsageResponse([_record(one) for one in found])

    async def _prune(self, call: Call, request: PruneRequest) -> AsyncIterator[UsageRecord]:
        filters = _what(request.filter)
        if request.keep_duration > 0:
            filters["until"] = [f"{request.keep_duration // 10**9}s"]
        filters = {name: values for name, values in filters.items() if name not in ("mutable", "immutable")}
        try:
            what = cache_what(filters, everything=request.all, keep_bytes=request.reserved_space)
        except Invalid as error:
            raise call_failed(error) from error
        before = {one.id: one for one in await self._services.builds.usage()}
        what = replace(what, most_bytes=request.max_used_space, free_bytes=request.min_free_space)
        pruned = await self._services.cleanup.prunes.caches.run(what)
        self._solver.local_sources.forget()
        for name in pruned.names:
            yield _record(before[name]) if name in before else UsageRecord(id=name)

    async def _status(self, call: Call, request: StatusRequest) -> AsyncIterator[StatusResponse]:
        try:
            job = await self._jobs.get(request.ref)
        except EngineError as error:
            raise call_failed(error) from error
        async for status in job.follow():
            yield status

    async def _solve(self, call: Call, request: SolveRequest) -> SolveResponse:
        try:
            job = await self._jobs.open(request)
        except EngineError as error:
            raise call_failed(error) from error
        try:
            return SolveResponse(await self._result(job))
        except EngineError as error:
            raise call_failed(error) from error
        finally:
            await asyncio.sleep(0)  # the last events are told first
            self._jobs.end(job)

    async def _result(self, job: Job) -> dict[str, str]:
        check_request(job)
        request = job.request
        if request.frontend:
            check_frontend(request.frontend, request.frontend_attrs)
            return await self._solver.solve(job, request.frontend_attrs, [])
        returned = await job.returned
        if returned.error is not None and returned.error.code:
            raise CallFailed(returned.error.code, returned.error.message, encode(returned.error))
        result = returned.result
        ref = result.ref.id if result is not None and result.ref is not None else ""
        if result is not None and result.refs is not None and result.refs.refs:
            raise CallFailed(Code.UNIMPLEMENTED, "a build with several results is not supported")
        if not ref:
            return {}
        attrs = job.results.get(ref)
        if attrs is None:
            raise CallFailed(Code.INVALID_ARGUMENT, f"no result {ref} in this build")
        return await self._solver.solve(job, attrs, [])


def worker() -> WorkerRecord:
    platform = host_platform()
    return WorkerRecord("corten", {}, [PlatformMessage(platform.architecture, platform.os, platform.variant)], VERSION)


def _what(texts: list[str]) -> dict[str, list[str]]:
    """containerd's filters (`type==regular,id~=^ab`) as Docker's. Raises CallFailed for what has no counterpart."""
    found: dict[str, list[str]] = {}
    for text in (part.strip() for one in texts for part in one.split(",") if part.strip()):
        name, separator, value = text.partition("==")
        if not separator:
            name, separator, value = text.partition("~=")
            value = value.removeprefix("^")
        name = _FILTER_NAMES.get(name, name).strip()
        if name not in _PRUNE_FILTERS:
            raise CallFailed(Code.INVALID_ARGUMENT, f"invalid filter {text!r}")
        found.setdefault(name, []).append(value.strip('"') or "true")
    return found


def _is_wanted(one: CacheUsage, filters: Mapping[str, list[str]]) -> bool:
    shown = {
        "id": one.id,
        "type": one.kind,
        "description": one.description,
        "shared": str(one.shared).lower(),
        "private": str(not one.shared).lower(),
        "inuse": str(one.in_use).lower(),
    }
    return all(shown.get(name, "").startswith(value) for name, values in filters.items() for value in values)


def _record(one: CacheUsage) -> UsageRecord:
    return UsageRecord(
        id=one.id,
        mutable=one.kind == "exec.cachemount",
        in_use=one.in_use,
        size=one.size,
        created=Timestamp.of(one.created),
        last_used=Timestamp.of(one.used) if one.used else None,
        usage_count=one.uses,
        description=one.description,
        record_type=one.kind,
        shared=one.shared,
    )
