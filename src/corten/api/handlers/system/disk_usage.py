"""`/system/df`: what images, containers, volumes and build cache take on disk."""

from typing import Final

import msgspec
from msgspec import UNSET

from corten.api.handlers.container.inspect import summaries
from corten.api.handlers.image.images import image_summary
from corten.api.handlers.volumes import answer
from corten.api.request import Request
from corten.api.types.containers import ContainerSummary
from corten.api.types.images import ImageSummary
from corten.api.types.system import BuildCacheItem, DiskUsage
from corten.api.types.volumes import UsageData, VolumeAnswer
from corten.api.versions import chooses_usage
from corten.api.wire import json_response
from corten.engine.build.builds import CacheUsage
from corten.engine.containers.ps import ContainerListQuery as ContainerQuery
from corten.engine.images.catalog import ImageListQuery as ImageQuery
from corten.engine.timestamps import format_moment
from corten.errors import Invalid
from corten.http.response import Reply

OBJECTS: Final = ("container", "image", "volume", "build-cache")


async def disk_usage(request: Request) -> Reply:
    """`type` (since 1.42) chooses kinds of objects; those not chosen are null."""
    chooses = chooses_usage(request.version)
    wanted = (request.values("type") if chooses else []) or list(OBJECTS)
    for kind in wanted:
        if kind not in OBJECTS:
            raise Invalid(f"unknown object type: {kind}", reason="bad-object-type", hint=f"one of {', '.join(OBJECTS)}")
    build_cache = [_cached(item) for item in await request.app.builds.usage()] if "build-cache" in wanted else None
    usage = DiskUsage(
        layers_size=request.app.system.layers_size() + request.app.pulls.partial.total() if "image" in wanted else 0,
        images=_images(request) if "image" in wanted else None,
        containers=await _containers(request) if "container" in wanted else None,
        volumes=await _volumes(request) if "volume" in wanted else None,
        build_cache=build_cache,
        builder_size=sum(item.size for item in build_cache or () if not item.shared) if not chooses else UNSET,
    )
    return json_response(usage)


def _images(request: Request) -> list[ImageSummary]:
    catalog = request.app.images.catalog
    found = catalog.summaries(ImageQuery(all=False, shared_size=True))
    # How many containers use an image decides what is reclaimable: told to clients of every version here, unlike in /images/json.
    return [msgspec.structs.replace(image_summary(request, catalog, one, False), containers=len(one.users)) for one in found]


def _cached(item: CacheUsage) -> BuildCacheItem:
    return BuildCacheItem(
        id=item.id,
        type=item.kind,
        description=item.description,
        in_use=item.in_use,
        shared=item.shared,
        size=item.size,
        created_at=format_moment(item.created),
        last_used_at=format_moment(item.used),
        usage_count=item.uses,
    )


async def _containers(request: Request) -> list[ContainerSummary]:
    containers = request.app.containers
    found = containers.list(ContainerQuery(all=True), request.app.images.catalog.family)
    sizes = await containers.all_sizes(found)
    return summaries(containers, found, sizes)


async def _volumes(request: Request) -> list[VolumeAnswer]:
    """Those that are directories of ours: what driver options mount takes its space elsewhere."""
    found = [volume for volume in request.app.volumes.list({}) if not volume.options]
    sizes = await request.app.disk_usage.held(found)
    return [answer(request.app.volumes, v, UsageData(size=sizes[v.name], ref_count=len(v.users))) for v in found]
