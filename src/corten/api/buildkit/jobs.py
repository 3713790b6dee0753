"""Builds under way, by the client's reference: what one call begins, others of the same client follow and drive."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from corten.api.buildkit.messages.gateway import ReturnRequest
from corten.api.buildkit.messages.solve import SolveRequest, StatusResponse
from corten.errors import Conflict, Invalid, NotFound
from corten.ids import random_hex64

WAIT_SECONDS: Final = 5.0
"""How long a call waits for the build that it belongs to, and a build that is over for the calls that belong to it."""
MOST_RESULTS: Final = 100


@dataclass(slots=True)
class Job:
    """`results` are what the client has asked the frontend for, by the id that it was given: they are built when it returns one."""

    request: SolveRequest
    returned: "asyncio.Future[ReturnRequest]"
    results: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _told: list[StatusResponse] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _is_over: bool = False

    def promise(self, attrs: Mapping[str, str]) -> str:
        """An id for what the frontend would make of `attrs`."""
        if len(self.results) >= MOST_RESULTS:
            raise Invalid(f"more than {MOST_RESULTS} results in one build", reason="build-results")
        result_id = random_hex64()[:25]
        self.results[result_id] = attrs
        return result_id

    def tell(self, status: StatusResponse) -> None:
        self._told.append(status)
        self._changed.set()

    def close(self) -> None:
        self._is_over = True
        self._changed.set()
        if not self.returned.done():
            self.returned.cancel()

    async def follow(self) -> AsyncIterator[StatusResponse]:
        """All status messages so far and to come, until the build is over."""
        at = 0
        while True:
            while at < len(self._told):
                yield self._told[at]
                at += 1
            if self._is_over:
                return
            self._changed = asyncio.Event() if self._changed.is_set() else self._changed
            await self._changed.wait()


class Jobs:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._opened = asyncio.Condition()

    async def open(self, request: SolveRequest) -> Job:
        """Raises Conflict for a reference that is in use."""
        if not request.ref or request.ref in self._jobs:
            raise Conflict(f"job ID {request.ref} exists", reason="build-ref")
        job = self._jobs[request.ref] = Job(request, asyncio.get_running_loop().create_future())
        async with self._opened:
            self._opened.notify_all()
        return job

    def end(self, job: Job) -> None:
        """Calls that come a little late still find it."""
        job.close()
        asyncio.get_running_loop().call_later(WAIT_SECONDS, self._jobs.pop, job.request.ref, None)

    async def get(self, ref: str) -> Job:
        """Raises NotFound when no such build begins soon."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._opened:
                await self._opened.wait_for(lambda: ref in self._jobs)
                return self._jobs[ref]
        except TimeoutError:
            raise NotFound(f"no such job {ref}", reason="no-such-build") from None
