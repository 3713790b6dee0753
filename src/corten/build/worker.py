"""The worker that builds share: caches, executor and snapshots of one engine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corten.build.cache import BuildCache
from corten.build.cachemounts import CacheMounts
from corten.build.files.fetched import FetchedSources
from corten.build.files.tempdirs import TempDirs
from corten.build.imagestate import ImageState
from corten.build.options import Executor
from corten.build.remotecache import RemoteCache
from corten.build.singleflight import Output, SingleFlight
from corten.build.snapshotter import BuildSnapshotter
from corten.ids import DiffId
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """All of it outlives a build but `remote_cache`, which is what one build imports; `cancel_import` ends its downloads.

    `snapshotter` takes the lease and the newest time (ns) of a build, None in one that keeps times; `steps` are those under way.
    """

    cache: BuildCache
    cachemounts: CacheMounts
    steps: SingleFlight[DiffId | None]
    fetched: FetchedSources
    tempdirs: TempDirs
    executor: Executor
    snapshotter: Callable[[Lease, int | None], BuildSnapshotter]
    remote_cache: RemoteCache | None = None
    cancel_import: Callable[[], None] = lambda: None

    def find(self, key: str, state: ImageState, created_by: str, lease: Lease) -> tuple[DiffId | None] | None:
        """(layer,) of the step with cache key `key`, None on a miss. `created_by` as `RemoteCache.find` has it.

        Blocks for as long as a download takes where there is a remote cache.
        """
        found = self.cache.find(key, lease)
        if found is None and self.remote_cache is not None:
            imported = self.remote_cache.find(key, state, created_by, lease)
            if imported is not None:
                self.cache.put(key, imported.layer, created_by, imported.created)
                found = (imported.layer,)
        return found

    async def run_once(self, key: str, output: Output, lease: Lease, work: Callable[[Output], Awaitable[DiffId | None]]) -> DiffId | None:
        """What `work` makes, which puts it into the cache: one run for all builds that want `key` now."""
        while True:
            layer, is_own = await self.steps.do(key, output, work)
            if is_own or self.cache.find(key, lease) is not None:
                return layer
