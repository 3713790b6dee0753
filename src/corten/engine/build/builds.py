"""A build from request to tagged image."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from corten.build import cache as build_cache
from corten.build import cachemounts as build_caches
from corten.build.cache import BuildCache
from corten.build.files.tempdirs import TempDirs
from corten.engine.cachemounts import CacheMountService
from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.ids import ImageId
from corten.oci.reference import Reference
from corten.registry.auth import Credentials
from corten.store.opened import Store
from corten.store.records.uses import Uses

if TYPE_CHECKING:
    from corten.build.events import Emit
    from corten.build.options import BuildOptions, Executor
    from corten.engine.build.delivery import Delivery
    from corten.engine.build.folders.claims import Claims
    from corten.engine.build.internal import Internal
    from corten.engine.build.making import Making

MIGRATIONS: Final = (*build_cache.MIGRATIONS, *build_caches.MIGRATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """`id` is the client's, for `cancel`. `dockerfile` is its path in the context; `remote` where the context
    is to be fetched from. `credentials` by registry domain.

    `parcel`: the body is one (see `delivery`). `explain` gets the Dockerfile's text once it is known, for errors.
    `cache_from`: as `Extras` has it. `folders` are read where they lie, and do not come with the body.
    """

    options: "BuildOptions"
    id: str = ""
    dockerfile: str = "Dockerfile"
    remote: str = ""
    parcel: bool = False
    folders: "Claims | None" = None
    tags: Sequence[Reference] = ()
    explain: Callable[[str], None] = lambda text: None
    credentials: dict[str, Credentials] = field(default_factory=dict)
    cache_from: Sequence[dict[str, str]] = ()
    deliver: "Callable[[Internal, Store], AbstractAsyncContextManager[Delivery]] | None" = None


class Built(NamedTuple):
    """`image` is "" for a mere check; `is_new`: there was no such image before. `provenance` is for whoever asked, in JSON."""

    image: ImageId
    is_new: bool = False
    provenance: bytes = b""


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


@dataclass(frozen=True, slots=True)
class Footing:
    """What builds stand on."""

    store: Store
    executor: "Executor"
    pulls: Pulls
    events: Events
    uses: Uses


class Builds:
    """Belongs to the event loop."""

    def __init__(self, footing: Footing, keeping: CacheMountService, *, usual_ca: str = "") -> None:
        self._footing = footing
        self._usual_ca = usual_ca
        self.keeping = keeping
        self.caches = keeping.caches
        self.cache = BuildCache(footing.store.db, footing.store.layers)
        self.layers = footing.store.layers
        self._running: dict[asyncio.Task[Any], str] = {}
        self._making: Making | None = None
        self._tempdirs = TempDirs(os.path.join(footing.store.root.path, "tmp", "build"))
        self._tempdirs.clear()

    async def build(self, request: BuildRequest, body: AsyncIterator[bytes], emit: "Emit") -> Built:
        """The image; it has its tags when this returns. Nothing is tagged when it fails. Cancelling ends what runs.

        Raises DockerfileError, StepFailed, NotFound, Invalid, Unavailable.
        """
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._running[task] = request.id
        try:
            return await self._maker().built(request, body, emit)
        finally:
            del self._running[task]

    def cancel(self, build_id: str) -> None:
        """Ends the builds that were given this id. As Docker, it has nothing against one that is over or never was."""
        for task in [task for task, known in self._running.items() if known == build_id]:
            task.cancel()

    def _maker(self) -> "Making":
        if self._making is None:
            from corten.engine.build.making import Making

            self._making = Making(self._footing, self.keeping, self._usual_ca, self._tempdirs)
        return self._making

    async def usage(self) -> list[CacheUsage]:
        """Cached steps and cache mounts, least recently used first of each."""
        images = {layer for image in self._footing.store.images.all() for layer in image.layers}
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
