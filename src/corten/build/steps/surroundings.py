"""What a step works with: the workshop, the cache, the build's sources and options, and the stages that are done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corten.build.cache import BuildCache
from corten.build.caches import CacheMounts
from corten.build.draft import Draft
from corten.build.events import Emit
from corten.build.files.tree import Tree
from corten.build.options import BuildOptions, Executor, Sources
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
    lease: Lease
    executor: Executor
    options: BuildOptions
    sources: Sources
    emit: Emit
    stage: Callable[[str], Awaitable[Origin]]
    newest: int
    created: str


@dataclass(frozen=True, slots=True)
class Done:
    """A step's result: the draft after it, and whether the cache had it."""

    draft: Draft
    cached: bool
    layer: DiffId | None = None
