"""`/corten/volumes`: which volumes are protected, and which hold models."""

import asyncio
import time
from typing import Final

from corten.api.request import Request
from corten.api.types.cleanup.answers import VolumeMarks
from corten.api.wire import json_response
from corten.engine.cleanup.models import Found
from corten.http.response import Reply, Response
from corten.store.volumes import Volume

_FRESH: Final = 60 * 10**9
"""For so long (ns) a look counts: `volume ls` in a row reads the disk once."""


async def volume_marks(request: Request) -> Reply:
    """By name, of all volumes."""
    cleanup = request.app.cleanup
    found = {}
    for volume in request.app.volumes.list({}):
        models = await _models(request, volume)
        found[volume.name] = VolumeMarks(protected=cleanup.protection.covers(volume.name, volume.labels), models=str(models or ""))
    return json_response(found)


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
