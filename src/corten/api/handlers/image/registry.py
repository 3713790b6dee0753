"""Pull, push, login checks and look-ups at registries: the wire's side of `corten.engine.transfer`."""

import base64
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import msgspec

from corten.api.handlers.image.images import read_platform
from corten.api.jsonstream import StreamedWork, first_line_decides
from corten.api.request import Request
from corten.api.streamformatter import progress_line, stream_line
from corten.api.types.images import DescriptorAnswer, DistributionAnswer, ProgressDetail, SearchHit, StreamMessage
from corten.api.types.system import AuthAnswer, AuthConfig
from corten.api.wire import json_response
from corten.engine.progress import Message, Report
from corten.engine.transfer.credentials import registry_credentials
from corten.engine.transfer.push import PushResult
from corten.engine.transfer.registries import SEARCH_FILTERS, Search
from corten.errors import Denied, Invalid, Unauthenticated
from corten.http.response import Reply
from corten.ids import is_hex64
from corten.oci.digest import parse_digest
from corten.oci.reference import Reference, parse_reference
from corten.registry.auth import Credentials

Work = Callable[[Report], Coroutine[Any, Any, list[PushResult] | None]]


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
    platform = read_platform(request)

    async def work(report: Report) -> list[PushResult]:
        return await pushes.push(reference, report, credentials=credentials, all_tags=every, platform=platform)

    return await _streamed(work)


async def auth(request: Request) -> Reply:
    """`POST /auth`, what `login` sends."""
    fields = await request.json(AuthConfig)
    given = registry_credentials(
        {"username": fields.username, "password": fields.password, "auth": fields.auth, "identitytoken": fields.identity_token}
    )
    token = await request.app.registries.login(fields.server_address, given)
    return json_response(AuthAnswer(identity_token=token, status="Login Succeeded"))


async def search(request: Request) -> Reply:
    wanted = Search(term=request.text("term"), limit=_limit(request.text("limit")), filters=request.filters(*SEARCH_FILTERS))
    hits = await request.app.registries.search(wanted, sent_credentials(request))
    return json_response(
        [SearchHit(star_count=h.star_count, is_official=h.is_official, name=h.name, description=h.description) for h in hits]
    )


async def distribution(request: Request) -> Reply:
    """`GET /distribution/{name}/json`."""
    name = request.params["name"]
    if is_hex64(name.removeprefix("sha256:")):
        raise Invalid("no manifest found for full image ID", reason="bad-reference")
    reference = parse_reference(name).with_default_tag()
    found = await request.app.registries.distribution(reference, sent_credentials(request))
    descriptor = DescriptorAnswer(media_type=found.media_type, digest=found.digest, size=found.size)
    return json_response(DistributionAnswer(descriptor=descriptor, platforms=found.platforms))


def _limit(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError:
        message = f'invalid limit specified: strconv.Atoi: parsing "{text}": invalid syntax'
        raise Invalid(message, reason="bad-limit") from None


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
    """`work`'s reports as JSON lines. What fails before the first one is raised: then the answer's status says so.

    It never says 401, at which Docker's CLI asks for a password and tries Docker Hub with it.
    """
    try:
        return await first_line_decides(_lines(StreamedWork(work)))
    except Unauthenticated as error:
        raise Denied(error.message, reason=error.reason, hint=error.hint) from error


async def _lines(work: StreamedWork[Message, list[PushResult] | None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(work):
        async for several in work.batches():
            yield b"".join(map(progress_line, several))
        for pushed in await work.result() or ():
            aux = {"Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size}
            yield stream_line(StreamMessage(progress_detail=ProgressDetail(), aux=aux))
