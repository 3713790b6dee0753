"""Cache mounts as users see them: listed with their sizes, removed, held below a quota, mounted into containers.

What is evicted leaves an event (type "builder", action "evict") that names the cache, the bytes and the reason.
"""

import asyncio
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from corten.build.cachemounts import CacheMount, CacheMounts
from corten.engine.events import Events
from corten.engine.records.containers import ContainerEntry
from corten.engine.values.container import MountPoint
from corten.ids import ContainerId
from corten.store.opened import Store
from corten.store.trash import Trash

PREFIX = "cache:"


@dataclass(frozen=True, slots=True)
class CacheMountUsage:
    """`users` are the containers that have it mounted; `size` is in bytes."""

    mount: CacheMount
    size: int
    users: tuple[ContainerId, ...]


class CacheMountService:
    """Belongs to the event loop."""

    def __init__(self, caches: CacheMounts, events: Events, users_of: Callable[[str], Sequence[ContainerId]]) -> None:
        """`users_of` gives the containers that mount a host directory."""
        self.caches = caches
        self._events = events
        self._users_of = users_of

    async def list(self) -> list[CacheMountUsage]:
        """Least recently used first."""
        return [await self._described(mount) for mount in self.caches.list()]

    async def remove(self, cache_id: str, *, reason: str = "removed by the user") -> int:
        """The bytes given back. Raises NotFound, and Conflict while a build or a container has it."""
        size = await asyncio.to_thread(self.caches.size, cache_id)
        self.caches.remove(cache_id)
        self._note(cache_id, size, reason)
        return size

    async def limit(self, cache_id: str, quota: int) -> int:
        """Sets a quota (bytes, 0 = none) and enforces it: the bytes evicted. Raises NotFound."""
        self.caches.limit(cache_id, quota)
        return await self._enforce(replace(next(m for m in self.caches.list() if m.id == cache_id), quota=quota))

    async def enforce(self) -> int:
        """Brings every cache that nobody uses below its quota: the bytes evicted."""
        return sum([await self._enforce(mount) for mount in self.caches.list() if mount.quota])

    async def _enforce(self, mount: CacheMount) -> int:
        if not mount.quota or mount.in_use:
            return 0
        evicted = await asyncio.to_thread(evict_oldest, mount.path, mount.quota)
        if evicted:
            self._note(mount.id, evicted, f"over its quota of {mount.quota} bytes")
        return evicted

    async def _described(self, mount: CacheMount) -> CacheMountUsage:
        return CacheMountUsage(mount, await asyncio.to_thread(self.caches.size, mount.id), tuple(self._users_of(mount.path)))

    def _note(self, cache_id: str, size: int, reason: str) -> None:
        self._events.publish("builder", "evict", cache_id, {"reason": reason, "size": str(size)})


def open_caches(root: str, store: Store, trash: Trash, events: Events, containers: Iterable[ContainerEntry]) -> CacheMountService:
    """The caches kept in `root`; those that one of `containers` has mounted are in use."""
    caches = CacheMounts(root, store.db, trash, lambda path: bool(mounting(containers, path)))
    return CacheMountService(caches, events, lambda path: mounting(containers, path))


def mounting(containers: Iterable[ContainerEntry], folder: str) -> list[ContainerId]:
    """The containers that have the host directory `folder` mounted."""
    return [entry.value.id for entry in containers if any(mount.source == folder for mount in entry.value.mounts)]


def with_caches(points: Sequence[MountPoint], caches: Callable[[str], str]) -> list[MountPoint]:
    """Mount points whose source is `cache:ID` with the cache's directory, which `caches` makes when it is missing."""
    return [replace(p, source=caches(p.source.removeprefix(PREFIX))) if p.source.startswith(PREFIX) else p for p in points]


def evict_oldest(folder: str, quota: int) -> int:
    """Removes files of `folder`, least recently used first, until the rest has at most `quota` bytes: the bytes removed. Blocks."""
    files = sorted(_files(folder))
    total, evicted = sum(size for _, size, _ in files), 0
    for _, size, path in files:
        if total - evicted <= quota:
            break
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        evicted += size
    return evicted


def _files(folder: str) -> Iterator[tuple[float, int, str]]:
    """(last use, bytes on disk, path) of every regular file; links are not followed."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode):
                yield max(found.st_atime, found.st_mtime), found.st_blocks * 512, path
