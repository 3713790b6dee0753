"""What a step works with: snapshotter, cache, the build's sources and options, and the stages that are done."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corten.build.dates import format_time
from corten.build.events import Emit
from corten.build.files.tree import Tree
from corten.build.imagestate import ImageState
from corten.build.options import BuildOptions, Sources
from corten.build.singleflight import Output
from corten.build.snapshotter import BuildSnapshotter
from corten.build.worker import Worker
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
    """`stage` gives a finished stage or an image by the name that `--from` has.

    A reproducible build has one time: `newest` in ns, `created` the same in RFC 3339 for the history. In others they are None and "".
    """

    worker: Worker
    snapshotter: BuildSnapshotter
    lease: Lease
    options: BuildOptions
    sources: Sources
    emit: Emit
    stage: Callable[[str], Awaitable[FromSource]]
    newest: int | None
    created: str

    def created_at(self, *keys: str) -> str:
        """For the history: when the step of the first known of these cache keys was run."""
        if self.created:
            return self.created
        known = (at for key in keys if key and (at := self.worker.cache.created(key)) is not None)
        return format_time(next(known, None) or time.time_ns())

    def cached(self, key: str, state: ImageState, created_by: str = "") -> tuple[DiffId | None] | None:
        """As `Worker.find`, None in a build or stage without cache."""
        return None if self.options.no_cache else self.worker.find(key, state, created_by, self.lease)

    async def run_once(self, key: str, output: Output, work: Callable[[Output], Awaitable[DiffId | None]]) -> DiffId | None:
        """As `Worker.run_once`; a build or stage without cache does its own work."""
        return await (work(output) if self.options.no_cache else self.worker.run_once(key, output, self.lease, work))


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step's result: the image after it, and whether the cache had it."""

    state: ImageState
    cached: bool
    layer: DiffId | None = None
