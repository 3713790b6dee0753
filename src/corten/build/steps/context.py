"""What a step works with: snapshotter, cache, the build's sources and options, and the stages that are done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corten.build.cache import BuildCache
from corten.build.cachemounts import CacheMounts
from corten.build.events import Emit
from corten.build.files.fetched import FetchedSources
from corten.build.files.tempdirs import TempDirs
from corten.build.files.tree import Tree
from corten.build.imagestate import ImageState
from corten.build.options import BuildOptions, Executor, Sources
from corten.build.remotecache import RemoteCache
from corten.build.singleflight import Output, SingleFlight
from corten.build.snapshotter import BuildSnapshotter
from corten.ids import DiffId
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True)
class FromSource:
    """Where `--from` leads: layers to be viewed, and a key that names them; or the files of a named context."""

    key: str
    layers: tuple[DiffId, ...]
    tree: Tree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """`stage` gives a finished stage or an image by the name that `--from` has; `created` is RFC 3339 for the history."""

    snapshotter: BuildSnapshotter
    cache: BuildCache
    caches: CacheMounts
    singleflight: SingleFlight[DiffId | None]
    remotes: FetchedSources
    tempdirs: TempDirs
    lease: Lease
    executor: Executor
    options: BuildOptions
    sources: Sources
    emit: Emit
    stage: Callable[[str], Awaitable[FromSource]]
    newest: int
    created: str
    remote_cache: RemoteCache | None = None
    cancel_import: Callable[[], None] = lambda: None
    """Ends what `remote_cache` is fetching."""

    def cached(self, key: str, state: ImageState, created_by: str = "") -> tuple[DiffId | None] | None:
        """(layer,) of the step with cache key `key`, None on a miss. `created_by` as `RemoteCache.find` has it.

        Blocks for as long as a download takes where there is a remote cache.
        """
        if self.options.no_cache:
            return None
        found = self.cache.find(key, self.lease)
        if found is None and self.remote_cache is not None:
            found = self.remote_cache.find(key, state, created_by, self.lease)
            if found is not None:
                self.cache.put(key, found[0], created_by)
        return found

    async def made_once(self, key: str, output: Output, work: Callable[[Output], Awaitable[DiffId | None]]) -> DiffId | None:
        """What `work` makes, which puts it into the cache: one run for all builds that want `key` now, unless they shall not share."""
        if self.options.no_cache:
            return await work(output)
        while True:
            layer, is_own = await self.singleflight.do(key, output, work)
            if is_own or self.cache.find(key, self.lease) is not None:
                return layer


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step's result: the image after it, and whether the cache had it."""

    state: ImageState
    cached: bool
    layer: DiffId | None = None
