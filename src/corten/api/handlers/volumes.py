"""`/volumes`: the wire's side of `corten.engine.volumes`."""

from datetime import UTC, datetime

from msgspec import UNSET, UnsetType

from corten.api.filters import filter_bool
from corten.api.request import Request
from corten.api.types.volumes import UsageData, VolumeAnswer, VolumeCreate, VolumeList
from corten.api.wire import json_response
from corten.engine.volumes import Volumes
from corten.errors import Unsupported
from corten.http.response import Reply, Response
from corten.store.volumes import Volume


async def volume_list(request: Request) -> Reply:
    filters = request.filters("name", "driver", "label", "dangling")
    filter_bool(filters, "dangling")
    found = request.app.volumes.list(filters)
    return json_response(VolumeList(volumes=[answer(request.app.volumes, v) for v in found]))


async def volume_create(request: Request) -> Reply:
    body = await request.json(VolumeCreate, default=VolumeCreate())
    if body.cluster_volume_spec:
        raise Unsupported(
            "cluster volumes need swarm, which Corten does not have", reason="no-cluster-volumes", hint="use the driver local"
        )
    volumes, name, driver = request.app.volumes, body.name or "", body.driver or ""
    volume = await volumes.create(name, driver=driver, options=body.driver_opts, labels=body.labels)
    return json_response(answer(request.app.volumes, volume), 201)


async def volume_inspect(request: Request) -> Reply:
    return json_response(answer(request.app.volumes, request.app.volumes.get(request.params["name"])))


async def volume_remove(request: Request) -> Reply:
    await request.app.volumes.remove(request.params["name"], force=request.flag("force"), force_protected=request.flag("force-protected"))
    return Response(204)


def answer(volumes: Volumes, volume: Volume, usage: UsageData | UnsetType = UNSET) -> VolumeAnswer:
    created = datetime.fromtimestamp(volume.created / 1e9, UTC)
    return VolumeAnswer(
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        driver=volume.driver,
        labels=dict(volume.labels) or None,
        mountpoint=volumes.mountpoint(volume),
        name=volume.name,
        options=dict(volume.options) or None,
        usage_data=usage,
    )
