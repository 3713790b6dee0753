"""`builder prune`: results of build steps and cache mounts, least recently used first."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from corten.build.cache import BuildCache, CacheEntry
from corten.build.cachemounts import CacheMounts
from corten.engine.cleanup.prune.options import PruneReport
from corten.engine.events import Events
from corten.store.files import free_bytes
from corten.store.opened import Store
from corten.store.trashbin.images import ImageBin

SHOWN = 25
"""Digits of a step's recipe that stand for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePruneFilter:
    """`everything`: cache mounts and what images share, too. `until`: only what was not used since (ns; 0 = any).

    `shared`: only what images share, or only what none does (None = either); `in_use` likewise, and what is in use always stays.
    `descriptions` are the whole of what made a thing, `parents` recipes, which no record keeps: they match nothing.
    `keep_bytes`: stop when so much is left (0 = nothing is kept for its size); `most_bytes`: do nothing below that; `free_bytes`: stop
    when the disk has so much room.
    """

    everything: bool = False
    until: int = 0
    ids: Collection[str] = ()
    types: Collection[str] = ()
    descriptions: Collection[str] = ()
    parents: Collection[str] = ()
    shared: bool | None = None
    in_use: bool | None = None
    keep_bytes: int = 0
    most_bytes: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CacheItem:
    """A step (its recipe is `key`) or a cache mount, with the bytes that its removal would free."""

    id: str
    kind: str
    used: int
    size: int
    key: str = ""
    description: str = ""
    is_shared: bool = False


@dataclass(slots=True)
class _Choice:
    steps: set[str] = field(default_factory=set)
    mounts: list[CacheItem] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class CachePrune:
    """Belongs to the event loop; cache mounts are measured in threads."""

    def __init__(self, store: Store, cache: BuildCache, caches: CacheMounts, events: Events) -> None:
        self._store = store
        self._bin = ImageBin(store.bin, store.images, store.layers, store.origins)
        self._cache = cache
        self._caches = caches
        self._events = events

    async def run(self, what: CachePruneFilter) -> PruneReport:
        choice = self._choose(what, await self.mounts(what))
        pruned = await self._remove(choice, "pruned")
        self._events.publish("builder", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned

    async def enforce(self, what: CachePruneFilter, *, reason: str) -> PruneReport:
        """`run` for the daemon: nothing is told when nothing goes, and every step that goes is."""
        choice = self._choose(what, await self.mounts(what))
        if not choice.names:
            return PruneReport()
        pruned = await self._remove(choice, reason)
        for key in choice.steps:
            self._events.publish("builder", "evict", key, {"reason": reason})
        return pruned

    async def _remove(self, choice: "_Choice", reason: str) -> PruneReport:
        with self._store.db.transaction():
            reclaimed = self._forget(choice)
        for item in choice.mounts:
            self._caches.remove(item.id)
            self._events.publish("builder", "evict", item.id, {"reason": reason, "size": str(item.size)})
        await asyncio.to_thread(self._store.layers.collect)
        return PruneReport(tuple(choice.names), reclaimed)

    def dry_run(self, what: CachePruneFilter, mounts: Sequence[CacheItem]) -> PruneReport:
        """What `run` would say. To be called in a `dry_run`; what was done in it before counts."""
        choice = self._choose(what, mounts)
        return PruneReport(tuple(choice.names), self._forget(choice))

    async def evict_step(self, key: str, *, reason: str) -> int:
        """The bytes that come back; 0 as long as something else holds the layer."""
        self._cache.drop(key)
        size = sum(layer.size for layer in await asyncio.to_thread(self._store.layers.collect))
        self._events.publish("builder", "evict", key, {"reason": reason, "size": str(size)})
        return size

    def evict_mount(self, cache_id: str, size: int, *, reason: str) -> int:
        """The bytes that come back, measured before. Raises NotFound, and Conflict while a build or a container has it."""
        self._caches.remove(cache_id)
        self._events.publish("builder", "evict", cache_id, {"reason": reason, "size": str(size)})
        return size

    async def mounts(self, what: CachePruneFilter) -> list[CacheItem]:
        """Cache mounts that nobody uses, measured, those of downloads last; none without `everything`."""
        found = []
        mounts = sorted(self._caches.list(), key=lambda mount: mount.is_download) if what.everything else ()
        for mount in mounts:
            if not mount.in_use:
                size = await asyncio.to_thread(self._caches.size, mount.id)
                found.append(CacheItem(mount.id, "exec.cachemount", mount.used, size, description=f"cache mount {mount.id}"))
        return found

    def _choose(self, what: CachePruneFilter, mounts: Sequence[CacheItem]) -> _Choice:
        """Steps, then cache mounts, each least recently used first; without `everything` only steps that no image shares."""
        images = {layer for image in self._store.images.all() for layer in image.layers}
        entries = [e for e in self._cache.entries() if what.everything or e.layer not in images]
        steps = [_step(entry, is_shared=entry.layer in images) for entry in entries]
        items = [item for item in (*steps, *mounts) if _is_wanted(item, what)]
        total = sum(item.size for item in items)
        choice = _Choice()
        if what.most_bytes and total <= what.most_bytes:
            return choice
        for item in _until_enough(items, total, what, free_bytes(self._store.root.path)):
            choice.names.append(item.id)
            if item.key:
                choice.steps.add(item.key)
            else:
                choice.mounts.append(item)
        return choice

    def _forget(self, choice: _Choice) -> int:
        """Bytes that come back: those of the cache mounts, and of layers that nothing but the trash needs any more."""
        before = {layer.diff_id for layer in self._bin.unneeded()}
        self._cache.forget(lambda entry: entry.key in choice.steps)
        freed = sum(layer.size for layer in self._bin.unneeded() if layer.diff_id not in before)
        return freed + sum(item.size for item in choice.mounts)


def _step(entry: CacheEntry, *, is_shared: bool) -> CacheItem:
    size = 0 if is_shared else entry.size
    return CacheItem(entry.key[:SHOWN], "regular", entry.used, size, key=entry.key, description=entry.name, is_shared=is_shared)


def _is_wanted(item: CacheItem, what: CachePruneFilter) -> bool:
    if what.in_use or what.parents or what.shared not in (None, item.is_shared):
        return False
    if what.descriptions and item.description not in what.descriptions:
        return False
    if what.until and item.used >= what.until:
        return False
    if what.ids and not any(item.id.startswith(wanted) for wanted in what.ids):
        return False
    return not what.types or item.kind in what.types


def _until_enough(items: Sequence[CacheItem], total: int, what: CachePruneFilter, free: int) -> Iterator[CacheItem]:
    for item in items:
        if what.keep_bytes and total <= what.keep_bytes:
            return
        if what.free_bytes and free >= what.free_bytes:
            return
        yield item
        total -= item.size
        free += item.size
