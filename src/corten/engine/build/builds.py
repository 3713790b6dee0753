"""Runs and cancels builds, and lists the build cache. The builder itself is imported with the first build."""

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from corten.build import cache as build_cache
from corten.build import cachemounts
from corten.build.cache import BuildCache
from corten.build.files.tempdirs import TempDirs
from corten.engine.build.request import BuildRequest, BuildResult
from corten.engine.cachemounts import CacheMountService
from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.store.opened import Store
from corten.store.records.uses import Uses

if TYPE_CHECKING:
    from corten.build.events import Emit
    from corten.build.options import Executor
    from corten.engine.build.image_builder import ImageBuilder
    from corten.engine.build.solve_options import BuildDefaults

MIGRATIONS: Final = (*build_cache.MIGRATIONS, *cachemounts.MIGRATIONS)


class CacheUsage(NamedTuple):
    """One thing in the build cache. Times are ns since the epoch, `size` bytes; `shared`: an image has the layer too."""

    id: str
    kind: str
    description: str
    in_use: bool
    shared: bool
    size: int
    created: int
    used: int
    uses: int


class Builds:
    """Belongs to the event loop."""

    def __init__(
        self,
        store: Store,
        executor: "Executor",
        *,
        pulls: Pulls,
        events: Events,
        uses: Uses,
        keeping: CacheMountService,
        defaults: "BuildDefaults",
    ) -> None:
        self._store = store
        self._executor = executor
        self._pulls = pulls
        self._events = events
        self._uses = uses
        self._defaults = defaults
        self.keeping = keeping
        self.caches = keeping.caches
        self.cache = BuildCache(store.db, store.layers)
        self.layers = store.layers
        self._running: dict[asyncio.Task[Any], str] = {}
        self._builder: ImageBuilder | None = None
        self._tempdirs = TempDirs(os.path.join(store.root.path, "tmp", "build"))
        self._tempdirs.clear()

    async def build(self, request: BuildRequest, emit: "Emit") -> BuildResult:
        """The image; it has its tags when this returns. Nothing is tagged when it fails. Cancelling ends what runs.

        Raises DockerfileError, StepFailed, NotFound, Invalid, Unavailable.
        """
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._running[task] = request.id
        try:
            return await self._image_builder().build(request, emit)
        finally:
            del self._running[task]

    def cancel(self, build_id: str) -> None:
        """Ends the builds that were given this id. As Docker, it has nothing against one that is over or never was."""
        for task in [task for task, known in self._running.items() if known == build_id]:
            task.cancel()

    def _image_builder(self) -> "ImageBuilder":
        if self._builder is None:
            from corten.engine.build.image_builder import ImageBuilder

            self._builder = ImageBuilder(
                self._store,
                self._executor,
                pulls=self._pulls,
                events=self._events,
                uses=self._uses,
                keeping=self.keeping,
                tempdirs=self._tempdirs,
                defaults=self._defaults,
            )
        return self._builder

    async def usage(self) -> list[CacheUsage]:
        """Cached steps and cache mounts, least recently used first of each."""
        images = {layer for image in self._store.images.all() for layer in image.layers}
        found = [
            CacheUsage(e.key[:25], "regular", e.name, False, e.layer in images, e.size, e.created, e.used, e.uses)
            for e in self.cache.entries()
        ]
        for mount in self.caches.list():
            size = await asyncio.to_thread(self.caches.size, mount.id)
            found.append(
                CacheUsage(
                    mount.id, "exec.cachemount", f"cache mount {mount.id}", mount.in_use, False, size, mount.created, mount.used, mount.uses
                )
            )
        return found
