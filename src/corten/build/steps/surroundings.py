"""What a step works with: the workshop, the cache, the build's sources and options, and the stages that are done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corten.build.cache import BuildCache
from corten.build.caches import CacheMounts
from corten.build.draft import Draft
from corten.build.events import Emit
from corten.build.files.remotes import Remotes
from corten.build.files.scratch import Scratch
from corten.build.files.tree import Tree
from corten.build.flights import Flights, Output
from corten.build.options import BuildOptions, Executor, Sources
from corten.build.recipes import CacheSource
from corten.build.workshop import Workshop
from corten.ids import DiffId
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True)
class Origin:
    """Where `--from` leads: layers to be viewed, and a key that names them; or the files of a named context."""

    key: str
    layers: tuple[DiffId, ...]
    tree: Tree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`stage` gives a finished stage or an image by the name that `--from` has; `created` is RFC 3339 for the history."""

    workshop: Workshop
    cache: BuildCache
    caches: CacheMounts
    flights: Flights[DiffId | None]
    remotes: Remotes
    scratch: Scratch
    lease: Lease
    executor: Executor
    options: BuildOptions
    sources: Sources
    emit: Emit
    stage: Callable[[str], Awaitable[Origin]]
    newest: int
    created: str
    elsewhere: CacheSource | None = None
    give_up: Callable[[], None] = lambda: None
    """Ends what `elsewhere` is fetching."""

    def cached(self, key: str, draft: Draft, created_by: str = "") -> tuple[DiffId | None] | None:
        """(layer,) that the recipe `key` made, None when nobody knows it. `created_by` as `CacheSource.find` has it.

        Blocks for as long as a download takes where there is a cache elsewhere.
        """
        if self.options.no_cache:
            return None
        found = self.cache.find(key, self.lease)
        if found is None and self.elsewhere is not None:
            found = self.elsewhere.find(key, draft, created_by, self.lease)
            if found is not None:
                self.cache.put(key, found[0], created_by)
        return found

    async def made_once(self, key: str, output: Output, work: Callable[[Output], Awaitable[DiffId | None]]) -> DiffId | None:
        """What `work` makes, which puts it into the cache: one run for all builds that want `key` now, unless they shall not share."""
        if self.options.no_cache:
            return await work(output)
        while True:
            layer, is_own = await self.flights.shared(key, output, work)
            if is_own or self.cache.find(key, self.lease) is not None:
                return layer


@dataclass(frozen=True, slots=True)
class Done:
    """A step's result: the draft after it, and whether the cache had it."""

    draft: Draft
    cached: bool
    layer: DiffId | None = None
