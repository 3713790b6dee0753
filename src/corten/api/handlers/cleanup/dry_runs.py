"""`POST /corten/dry-run/…`: what a prune or the removal of images would answer. Nothing is changed."""

from collections.abc import Mapping
from typing import Final

from corten.api.errors import status_of
from corten.api.handlers.cleanup.prunes import (
    cache_what,
    caches_pruned,
    containers_pruned,
    images_pruned,
    networks_pruned,
    read_prune_filter,
    volumes_pruned,
)
from corten.api.handlers.image.images import deleted_items
from corten.api.request import Request
from corten.api.types.cleanup.answers import DryRunAnswer, DryRunPrune, DryRunRemoval, DryRunRemovalAnswer
from corten.api.wire import json_response
from corten.engine.cleanup.prune.caches import CachePruneFilter
from corten.engine.cleanup.prune.options import PruneOptions
from corten.engine.cleanup.prune.prunes import PrunePlan
from corten.engine.images.removal import ImagePruneFilter, RemoveOptions
from corten.errors import EngineError, Invalid
from corten.http.response import Reply

KINDS: Final = ("container", "network", "volume", "image", "build-cache")
FILTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "container": ("label", "label!", "until"),
    "network": ("label", "label!", "until"),
    "volume": ("label", "label!"),
    "image": ("label", "label!", "until"),
    "build-cache": ("until", "unused-for", "id", "type", "description", "parent", "shared", "private", "inuse", "label", "label!"),
}
"""What each kind knows. `system prune` hands every kind what it knows and leaves out the rest."""


async def dry_run_prune(request: Request) -> Reply:
    body = await request.json(DryRunPrune, default=DryRunPrune())
    kinds = list(KINDS if body.kinds is None else body.kinds)
    for kind in kinds:
        if kind not in KINDS:
            raise Invalid(f"unknown kind of object: {kind}", reason="bad-object-type", hint=f"one of {', '.join(KINDS)}")
    filters = dict(body.filters or {})
    for name in filters:
        if len(kinds) == 1 and name not in FILTERS[kinds[0]]:
            raise Invalid(f"invalid filter '{name}'", reason="bad-filter")
    filter = read_prune_filter(filters)
    everything = bool(body.all)
    plan = PrunePlan(
        filter=filter,
        options=PruneOptions(dry=True, force_protected=bool(body.force_protected), spare_models=bool(body.keep_models)),
        containers="container" in kinds,
        networks="network" in kinds,
        volumes="volume" in kinds,
        all_volumes=bool(body.all_volumes),
        images=ImagePruneFilter(not everything, filter.until, filter.labels, filter.not_labels) if "image" in kinds else None,
        caches=_caches(filters, everything, body.keep_storage or 0) if "build-cache" in kinds else None,
    )
    found = await request.app.cleanup.prunes.dry_run(plan)
    trashed = request.app.cleanup.trash.is_on
    answer = DryRunAnswer(
        containers=containers_pruned(found.containers) if found.containers else None,
        networks=networks_pruned(found.networks) if found.networks else None,
        volumes=volumes_pruned(found.volumes, trashed=trashed) if found.volumes else None,
        images=images_pruned(found.images, request.app.pulls.partial.size(plan.images), trashed=trashed)
        if found.images and plan.images
        else None,
        build_cache=caches_pruned(found.caches) if found.caches else None,
    )
    return json_response(answer)


async def dry_run_removal(request: Request) -> Reply:
    body = await request.json(DryRunRemoval)
    how = RemoveOptions(force=bool(body.force), prune_parents=not body.no_prune, force_protected=bool(body.force_protected))
    answers = []
    for found in request.app.cleanup.prunes.dry_run_removal(body.images or [], how):
        if isinstance(found, EngineError):
            answers.append(DryRunRemovalAnswer(removed=None, message=found.message, status=status_of(found)))
        else:
            answers.append(DryRunRemovalAnswer(removed=deleted_items(found)))
    return json_response(answers)


def _caches(filters: dict[str, list[str]], everything: bool, keep_bytes: int) -> CachePruneFilter:
    known = {name: values for name, values in filters.items() if name in FILTERS["build-cache"]}
    return cache_what(known, everything=everything, keep_bytes=keep_bytes)
