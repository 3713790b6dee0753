"""The calls that move a container through its states: start, stop, restart, kill, pause, unpause, wait."""

import asyncio
from collections.abc import AsyncIterator

from msgspec import UNSET

from corten.api.request import Request
from corten.api.types.containers import WaitAnswer, WaitError
from corten.api.wire import encode
from corten.engine.records.waiters import WaitResult, parse_condition
from corten.errors import Invalid
from corten.http.response import Reply, Response, Stream


async def container_start(request: Request) -> Reply:
    """A body once held a HostConfig; up to seven bytes (`{}`, `null`) are still let through, as Docker does."""
    if "transfer-encoding" in request.headers or int(request.headers.get("content-length", "0")) > 7:
        raise Invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24", reason="start-body"
        )
    await request.app.lifecycle.start(request.params["id"])
    return Response(204)


async def container_stop(request: Request) -> Reply:
    await request.app.lifecycle.stop(request.params["id"], signal=request.text("signal"), timeout=_timeout(request))
    return Response(204)


async def container_restart(request: Request) -> Reply:
    await request.app.lifecycle.restart(request.params["id"], signal=request.text("signal"), timeout=_timeout(request))
    return Response(204)


async def container_kill(request: Request) -> Reply:
    await request.app.lifecycle.kill(request.params["id"], request.text("signal"))
    return Response(204)


async def container_pause(request: Request) -> Reply:
    await request.app.lifecycle.pause(request.params["id"])
    return Response(204)


async def container_unpause(request: Request) -> Reply:
    await request.app.lifecycle.unpause(request.params["id"])
    return Response(204)


async def container_wait(request: Request) -> Reply:
    """The head leaves at once: `docker run` waits before it starts the container, and goes on when it has the head."""
    condition = parse_condition(request.text("condition"))
    return Stream(_wait_body(request.app.lifecycle.wait(request.params["id"], condition)))


async def _wait_body(waiting: "asyncio.Future[WaitResult]") -> AsyncIterator[bytes]:
    try:
        result = await waiting
    finally:
        waiting.cancel()
    yield encode(WaitAnswer(status_code=result.exit_code, error=WaitError(message=result.error) if result.error else UNSET))


def _timeout(request: Request) -> int | None:
    return request.integer("t") if request.text("t") else None
