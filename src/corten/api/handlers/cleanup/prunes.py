"""`POST /…/prune` of every kind of object. The query value `force-protected` and the header
`Corten-Keep-Models: 1` are Corten's own: without them a prune means what it means to Docker."""

from collections.abc import Iterable
from dataclasses import replace

from msgspec import UNSET

from corten.api.filters import filter_parsed_bool, filter_until
from corten.api.handlers.image.images import deleted_items, prune_what, removal_how
from corten.api.request import Request
from corten.api.types.cleanup.answers import (
    CachesPruned,
    ContainersPruned,
    ImagesPruned,
    Kept,
    KeptItem,
    NetworksPruned,
    VolumesPruned,
)
from corten.api.versions import spares_named_volumes
from corten.api.wire import json_response
from corten.engine.cleanup.prune.caches import CachePruneFilter
from corten.engine.cleanup.prune.options import KeptObject, PruneFilter, PruneOptions, PruneReport
from corten.engine.images.removal import PRUNE_FILTERS, ImagePruneReport
from corten.errors import Invalid
from corten.http.response import Reply

_BUILD_FILTERS = ("until", "unused-for", "id", "inuse", "shared", "private", "type", "description", "parent", "label", "label!")
"""Nothing in the cache bears a label: as in Docker, `system prune` may ask for one and the cache takes no notice."""


async def container_prune(request: Request) -> Reply:
    filter = read_prune_filter(request.filters("label", "label!", "until"))
    return json_response(containers_pruned(await request.app.cleanup.prunes.containers.run(filter, read_prune_options(request))))


async def network_prune(request: Request) -> Reply:
    filter = read_prune_filter(request.filters("label", "label!", "until"))
    return json_response(networks_pruned(await request.app.cleanup.prunes.networks.run(filter, read_prune_options(request))))


async def volume_prune(request: Request) -> Reply:
    filters = request.filters("label", "label!", "all")
    everything = filter_parsed_bool(filters, "all")
    if not spares_named_volumes(request.version):
        if "all" in filters:
            raise Invalid(f"invalid filter 'all=[{' '.join(filters['all'])} true]': only one value is expected", reason="bad-filter")
        everything = True
    pruned = await request.app.cleanup.prunes.volumes.run(read_prune_filter(filters), read_prune_options(request), everything=everything)
    return json_response(volumes_pruned(pruned, trashed=request.app.cleanup.trash.is_on))


async def image_prune(request: Request) -> Reply:
    what = prune_what(request.filters(*PRUNE_FILTERS))
    pruned = await request.app.cleanup.prunes.images.prune(what, removal_how(request))
    left = await request.app.pulls.partial.prune(what)
    return json_response(images_pruned(pruned, left, trashed=request.app.cleanup.trash.is_on))


async def build_prune(request: Request) -> Reply:
    return json_response(caches_pruned(await request.app.cleanup.prunes.caches.run(_cache_what(request))))


def read_prune_filter(filters: dict[str, list[str]]) -> PruneFilter:
    return PruneFilter(until=filter_until(filters), labels=filters.get("label", ()), not_labels=filters.get("label!", ()))


def read_prune_options(request: Request) -> PruneOptions:
    return PruneOptions(force_protected=request.flag("force-protected"), spare_models=request.headers.get("corten-keep-models") == "1")


def containers_pruned(pruned: PruneReport) -> ContainersPruned:
    return ContainersPruned(containers_deleted=list(pruned.names) or None, space_reclaimed=pruned.reclaimed, corten_kept=_kept(pruned.kept))


def networks_pruned(pruned: PruneReport) -> NetworksPruned:
    return NetworksPruned(networks_deleted=list(pruned.names) or None, corten_kept=_kept(pruned.kept))


def volumes_pruned(pruned: PruneReport, *, trashed: bool) -> VolumesPruned:
    return VolumesPruned(
        volumes_deleted=list(pruned.names),
        space_reclaimed=pruned.reclaimed,
        corten_trashed=pruned.reclaimed if trashed and pruned.reclaimed else UNSET,
        corten_kept=_kept(pruned.kept),
    )


def images_pruned(pruned: ImagePruneReport, left: int, *, trashed: bool) -> ImagesPruned:
    """`left`: bytes that pulls which did not end had left; they never go into the trash."""
    kept = _kept(KeptObject(name, "protected") for name in pruned.kept)
    return ImagesPruned(
        images_deleted=deleted_items(pruned.removed) or None,
        space_reclaimed=pruned.reclaimed + left,
        corten_trashed=pruned.reclaimed if trashed and pruned.reclaimed else UNSET,
        corten_kept=kept,
    )


def caches_pruned(pruned: PruneReport) -> CachesPruned:
    return CachesPruned(caches_deleted=list(pruned.names) or None, space_reclaimed=pruned.reclaimed)


def cache_what(filters: dict[str, list[str]], *, everything: bool, keep_bytes: int = 0) -> CachePruneFilter:
    """Raises Invalid in Docker's words."""
    for name, values in filters.items():
        if len(values) > 1:
            raise Invalid(f"failed to prune build cache: filters expect only one value: {name}", reason="bad-filter")
    moments = {"until": [*filters.get("until", ()), *filters.get("unused-for", ())]}
    try:
        until = filter_until(moments)
    except Invalid as error:
        text = f"\"until\" filter expects a duration (e.g., '24h') or a timestamp: {error.message}"
        raise Invalid(f"failed to prune build cache: {text}", reason=error.reason) from None
    private = _switch(filters, "private")
    return CachePruneFilter(
        everything=everything,
        until=until,
        ids=filters.get("id", ()),
        types=filters.get("type", ()),
        descriptions=filters.get("description", ()),
        parents=filters.get("parent", ()),
        shared=_switch(filters, "shared") if private is None else not private,
        in_use=_switch(filters, "inuse"),
        keep_bytes=keep_bytes,
    )


def _switch(filters: dict[str, list[str]], name: str) -> bool | None:
    """None where it is not asked for. The name alone means true."""
    if name not in filters:
        return None
    text = next(iter(filters[name]), "true").lower()
    if text not in ("true", "1", "false", "0"):
        raise Invalid(f"failed to prune build cache: invalid filter '{name}={text}': true or false", reason="bad-filter")
    return text in ("true", "1")


def _cache_what(request: Request) -> CachePruneFilter:
    try:
        filters = request.filters(*_BUILD_FILTERS)
    except Invalid as error:
        raise Invalid(f"failed to prune build cache: {error.message}" if "'" in error.message else error.message) from None
    keep = request.integer("reserved-space") or request.integer("keep-storage")
    what = cache_what(filters, everything=request.flag("all"), keep_bytes=keep)
    return replace(what, most_bytes=request.integer("max-used-space"), free_bytes=request.integer("min-free-space"))


def _kept(kept: Iterable[KeptObject]) -> Kept:
    return [KeptItem(name=one.name, why=one.why) for one in kept] or UNSET
