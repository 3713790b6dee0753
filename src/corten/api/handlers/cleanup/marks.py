"""`/corten/volumes`: which volumes are protected, and which hold models."""

from corten.api.request import Request
from corten.api.types.cleanup.answers import VolumeMarks
from corten.api.wire import json_response
from corten.http.response import Reply, Response


async def volume_marks(request: Request) -> Reply:
    """By name, of all volumes."""
    cleanup = request.app.cleanup
    found = {}
    for volume in request.app.volumes.list({}):
        models = cleanup.models.known(volume.name)
        found[volume.name] = VolumeMarks(protected=cleanup.protection.covers(volume.name, volume.labels), models=str(models or ""))
    return json_response(found)


async def volume_protect(request: Request) -> Reply:
    return await _set(request, True)


async def volume_unprotect(request: Request) -> Reply:
    return await _set(request, False)


async def _set(request: Request, protected: bool) -> Reply:
    volume = request.app.volumes.get(request.params["name"])
    request.app.cleanup.protection.set(volume.name, protected)
    return Response(204)
