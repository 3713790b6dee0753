"""`/corten/caches`: the cache mounts of builds, which Docker's API shows only as records of the build cache."""

from corten.api.request import Request
from corten.api.types.build import CacheMountAnswer, CacheMountFreed
from corten.api.wire import json_response
from corten.engine.cachemounts import CacheMountUsage
from corten.http.response import Reply


async def cache_list(request: Request) -> Reply:
    return json_response([_answer(kept) for kept in await request.app.builds.keeping.list()])


async def cache_remove(request: Request) -> Reply:
    """`id`: which; ids are paths, so they stand in the query."""
    return json_response(CacheMountFreed(space_reclaimed=await request.app.builds.keeping.remove(request.text("id"))))


async def cache_limit(request: Request) -> Reply:
    """`id`, `quota` in bytes (0 = none)."""
    return json_response(
        CacheMountFreed(space_reclaimed=await request.app.builds.keeping.limit(request.text("id"), request.integer("quota")))
    )


def _answer(kept: CacheMountUsage) -> CacheMountAnswer:
    mount = kept.mount
    return CacheMountAnswer(
        id=mount.id,
        size=kept.size,
        quota=mount.quota,
        created=mount.created // 10**9,
        last_used=mount.used // 10**9,
        uses=mount.uses,
        in_use=mount.in_use or bool(kept.users),
        containers=list(kept.users),
        download=mount.is_download,
    )
