"""`/images/load`, `/images/get`, `/images/create`: archives in and out as streams. Registries are in `registry`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from corten.api import versions
from corten.api.handlers.image.images import read_platform
from corten.api.handlers.image.registry import pull
from corten.api.jsonstream import first_line_decides
from corten.api.request import Request
from corten.api.streamformatter import error_line, progress_line
from corten.api.types.images import StreamMessage
from corten.api.wire import json_response
from corten.engine.images.archives import ImportOptions
from corten.engine.images.catalog import parse_target
from corten.engine.progress import Message
from corten.errors import EngineError, Invalid
from corten.http.response import Reply, Stream
from corten.oci.platform import Platform, parse_platform


async def image_load(request: Request) -> Reply:
    messages = request.app.images.archives.load(request.stream(), quiet=request.flag("quiet"), platform=_transferred_platform(request))
    # A client that sent `Expect: 100-continue` takes a head that leaves before the first line for a refusal of its body.
    return await first_line_decides(_lines(messages))


async def image_get(request: Request) -> Reply:
    """One image by its path, or several by `names`."""
    names = [request.params["name"]] if "name" in request.params else [name for name in request.values("names") if name]
    archive = await request.app.images.archives.save(names, _transferred_platform(request))
    return Stream(archive, "application/x-tar")


async def image_tree(request: Request) -> Reply:
    """`name`: whose files are wanted as one tar, which Docker has for containers only."""
    return Stream(await request.app.images.archives.tree(request.text("name")), "application/x-tar")


async def image_create(request: Request) -> Reply:
    source = request.text("fromSrc")
    if request.text("fromImage"):
        return await pull(request)
    if not source:
        raise Invalid("fromImage or fromSrc must be given", reason="no-source")
    platform = request.text("platform")
    wanted = ImportOptions(
        reference=parse_target(request.text("repo"), request.text("tag")),
        message=request.text("message"),
        changes=request.values("changes"),
        platform=parse_platform(platform) if platform else None,
    )
    if source != "-":
        wanted = replace(wanted, message=wanted.message or f"Imported from {source}")
        return Stream(_lines(request.app.images.archives.import_url(source, wanted)))
    image_id = await request.app.images.archives.import_(request.stream(), wanted)
    return json_response(StreamMessage(status=image_id))


def _transferred_platform(request: Request) -> Platform | None:
    """Raises Invalid for several, which would otherwise be one of them without a word."""
    if not versions.transfers_platforms(request.version):
        return None
    if len(request.values("platform")) > 1:
        raise Invalid("multiple platform parameters not supported", reason="several-platforms")
    return read_platform(request)


async def _lines(messages: AsyncGenerator[Message, None]) -> AsyncGenerator[bytes, None]:
    """As in Docker, an error ends the stream as its last line, also where it is the first."""
    try:
        async with aclosing(messages):
            async for message in messages:
                yield progress_line(message)
    except EngineError as error:
        yield error_line(error)
