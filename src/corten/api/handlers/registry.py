"""Pull, push, login checks and look-ups at registries: the wire's side of `corten.engine.transfer`."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import msgspec
from msgspec import UNSET

from corten.api.request import Request
from corten.api.types.images import ErrorDetail, ProgressDetail, StreamMessage
from corten.api.wire import encode
from corten.engine.images.progress import bar
from corten.engine.transfer.credentials import registry_credentials
from corten.engine.transfer.progress import Progress, Report
from corten.engine.transfer.push import Pushed
from corten.errors import EngineError, Invalid
from corten.http.response import Reply, Stream
from corten.oci.digest import parse_digest
from corten.oci.reference import Reference, parse_reference
from corten.registry.auth import Credentials

Work = Callable[[Report], Awaitable[list[Pushed] | None]]


async def pull(request: Request) -> Reply:
    """`POST /images/create?fromImage=`. An error before the first line is an HTTP error, as in Docker; a later one the last line."""
    reference = _wanted(request.text("fromImage"), request.text("tag"))
    credentials = sent_credentials(request)
    pulls = request.app.pulls
    every = reference.is_name_only and not request.text("tag")
    platform = request.text("platform")

    async def work(report: Report) -> None:
        await pulls.pull(reference, report, platform=platform, credentials=credentials, all_tags=every)

    return await _streamed(work)


async def push(request: Request) -> Reply:
    reference = parse_reference(request.params["name"])
    tag = request.text("tag")
    if tag:
        reference = reference.with_tag(tag)
    credentials = sent_credentials(request)
    pushes = request.app.pushes
    every = not tag and reference.is_name_only

    async def work(report: Report) -> list[Pushed]:
        return await pushes.push(reference, report, credentials=credentials, all_tags=every)

    return await _streamed(work)


def sent_credentials(request: Request) -> Credentials | None:
    """What `X-Registry-Auth` holds; None for nobody. Raises Invalid for what is no base64 of JSON."""
    text = request.headers.get("x-registry-auth")
    if not text:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        fields = msgspec.json.decode(raw, type=dict[str, str | None]) if raw.strip() else {}
    except (ValueError, msgspec.DecodeError) as error:
        raise Invalid(f"invalid X-Registry-Auth header: {error}", reason="bad-registry-auth") from error
    found = registry_credentials({key: value or "" for key, value in fields.items()})
    return None if found == Credentials() else found


def _wanted(name: str, tag: str) -> Reference:
    reference = parse_reference(name)
    if tag.startswith("sha256:"):
        return reference.with_digest(parse_digest(tag))
    return reference.with_tag(tag) if tag else reference


async def _streamed(work: Work) -> Reply:
    """`work`'s reports as JSON lines. What fails before the first one is raised: then the answer's status says so."""
    messages: asyncio.Queue[Progress | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(work(lambda line: _from_any_thread(loop, messages, line)))
    running.add_done_callback(lambda _: messages.put_nowait(None))
    first = await messages.get()
    if first is None:
        await running
    return Stream(_lines(first, messages, running))


def _from_any_thread(loop: asyncio.AbstractEventLoop, messages: "asyncio.Queue[Progress | None]", line: Progress) -> None:
    loop.call_soon_threadsafe(messages.put_nowait, line)


async def _lines(
    first: Progress | None, messages: "asyncio.Queue[Progress | None]", running: "asyncio.Future[list[Pushed] | None]"
) -> AsyncIterator[bytes]:
    async with aclosing(_texts(first, messages, running)) as texts:
        async for message in texts:
            yield encode(message).rstrip(b"\n") + b"\r\n"


async def _texts(
    first: Progress | None, messages: "asyncio.Queue[Progress | None]", running: "asyncio.Future[list[Pushed] | None]"
) -> AsyncGenerator[StreamMessage, None]:
    try:
        line = first
        while line is not None:
            yield _wire(line)
            line = await messages.get()
        for pushed in await running or ():
            aux = {"Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size}
            yield StreamMessage(progress_detail=ProgressDetail(), aux=aux)
    except EngineError as error:
        yield StreamMessage(error_detail=ErrorDetail(error.message), error=error.message)
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait([running])


def _wire(line: Progress) -> StreamMessage:
    if not line.id:
        return StreamMessage(status=line.status)
    if line.status.startswith("Pulling from"):
        return StreamMessage(status=line.status, id=line.id)
    if not line.total:
        return StreamMessage(status=line.status, progress_detail=ProgressDetail(), id=line.id)
    detail = ProgressDetail(line.current, line.total)
    return StreamMessage(status=line.status, progress_detail=detail, progress=bar(line.current, line.total) or UNSET, id=line.id)
