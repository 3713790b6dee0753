"""`/corten/volumes` and `/corten/images`: which volumes are protected, which hold models, and when what was last used."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from corten.api.request import Request
from corten.api.types.cleanup.answers import ImageMarks, VolumeMarks
from corten.api.wire import json_response
from corten.engine.cleanup.models import Found
from corten.engine.moments import format_moment
from corten.http.response import Reply, Response
from corten.store.volumes import Volume

_FRESH: Final = 60 * 10**9
"""For so long (ns) a look counts: `volume ls` in a row reads the disk once."""


async def volume_marks(request: Request) -> Reply:
    """By name, of all volumes."""
    used = request.app.cleanup.uses.volumes()
    return json_response({volume.name: await _marks(request, volume, used) for volume in request.app.volumes.list({})})


async def volume_mark(request: Request) -> Reply:
    """Of one volume."""
    return json_response(await _marks(request, request.app.volumes.get(request.params["name"]), request.app.cleanup.uses.volumes()))


async def _marks(request: Request, volume: Volume, used: Mapping[str, int]) -> VolumeMarks:
    return VolumeMarks(
        protected=request.app.cleanup.protection.covers(volume.name, volume.labels),
        models=str(await _models(request, volume) or ""),
        last_used=_moment(used.get(volume.name)),
    )


async def image_marks(request: Request) -> Reply:
    """By id, of those that were used."""
    return json_response({name: ImageMarks(last_used=_moment(at)) for name, at in request.app.cleanup.uses.images().items()})


def _moment(at: int | None) -> str:
    return format_moment(at) if at else ""


async def _models(request: Request, volume: Volume) -> Found | None:
    """What weights the volume holds: what the last look saw, or a look, when it is some time since."""
    models = request.app.cleanup.models
    if time.time_ns() - models.looked().get(volume.name, 0) < _FRESH:
        return models.known(volume.name)
    return await asyncio.to_thread(models.look, volume.name, request.app.volumes.mountpoint(volume))


async def volume_protect(request: Request) -> Reply:
    return await _set(request, True)


async def volume_unprotect(request: Request) -> Reply:
    return await _set(request, False)


async def _set(request: Request, protected: bool) -> Reply:
    volume = request.app.volumes.get(request.params["name"])
    request.app.cleanup.protection.set(volume.name, protected)
    return Response(204)
