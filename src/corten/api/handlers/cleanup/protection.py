"""`/corten/volumes` and `/corten/images`: which volumes are protected, which hold models, and when what was last used."""

from collections.abc import Sequence

from corten.api.request import Request
from corten.api.types.cleanup.answers import ImageUse, VolumeProtection
from corten.api.wire import json_response
from corten.engine.timestamps import format_moment
from corten.http.response import Reply, Response
from corten.store.volumes import Volume


async def volume_protections(request: Request) -> Reply:
    """By name, of all volumes."""
    return json_response(await _protections(request, request.app.volumes.list({})))


async def volume_protection(request: Request) -> Reply:
    """Of one volume."""
    volume = request.app.volumes.get(request.params["name"])
    return json_response((await _protections(request, [volume]))[volume.name])


async def _protections(request: Request, volumes: Sequence[Volume]) -> dict[str, VolumeProtection]:
    cleanup = request.app.cleanup
    used = cleanup.uses.volumes()
    models = await cleanup.scanner.find_models(volumes, used)
    return {
        volume.name: VolumeProtection(
            protected=cleanup.protection.covers(volume.name, volume.labels),
            models=str(models.get(volume.name, "")),
            model_bytes=models[volume.name].size if volume.name in models else 0,
            last_used=_moment(used.get(volume.name)),
        )
        for volume in volumes
    }


async def image_uses(request: Request) -> Reply:
    """By id, of those that were used."""
    return json_response({name: ImageUse(last_used=_moment(at)) for name, at in request.app.cleanup.uses.images().items()})


def _moment(at: int | None) -> str:
    return format_moment(at) if at else ""


async def volume_protect(request: Request) -> Reply:
    return await _set(request, True)


async def volume_unprotect(request: Request) -> Reply:
    return await _set(request, False)


async def _set(request: Request, protected: bool) -> Reply:
    volume = request.app.volumes.get(request.params["name"])
    request.app.cleanup.protection.set(volume.name, protected)
    return Response(204)
