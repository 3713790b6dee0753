"""One build, from its definition to the recorded image. Imported with the first build: an idle engine does not carry it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import msgspec

from corten.build.cache import BuildCache
from corten.build.dates import UNDATED, dated, format_time, is_undated, latest, seconds_of
from corten.build.events import Emit
from corten.build.files.fetched import FetchedSources
from corten.build.files.tempdirs import TempDirs
from corten.build.imagestate import ImageState, step_key
from corten.build.layer_lookups import LayerLookups
from corten.build.options import BuildOptions, Executor
from corten.build.remotecache import CacheRecord, RemoteCache, record_chain
from corten.build.singleflight import SingleFlight
from corten.build.snapshotter import BuildSnapshotter
from corten.build.solve import SolveResult
from corten.build.worker import Worker
from corten.engine.build.definition import BuildDefinition, load_definition
from corten.engine.build.image_resolver import BaseImageResolver
from corten.engine.build.provenance import ProvenanceOptions, provenance, provenance_summary, read_provenance_options
from corten.engine.build.remotecache.exporters import with_inline_cache
from corten.engine.build.remotecache.options import read_cache_exports, read_cache_imports
from corten.engine.build.remotecache.session import RemoteCaches
from corten.engine.build.reproducible import compare, second_build_events
from corten.engine.build.request import BuildRequest, BuildResult
from corten.engine.build.sboms.options import SbomOptions, read_sbom_options
from corten.engine.build.sboms.scanner import SbomScanner
from corten.engine.build.solve_options import BuildDefaults
from corten.engine.build.vertices import InternalVertices
from corten.engine.cachemounts import CacheMountService
from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.ids import DiffId, ImageId
from corten.oci.digest import sha256_digest
from corten.oci.image import ImageConfig, RootFs, encode_image_config
from corten.oci.platform import parse_platform
from corten.store.archive.attesting import SLSA, Sboms, stored_sboms
from corten.store.layertar.seal import seal_snapshot
from corten.store.opened import Store
from corten.store.records.leases import Lease
from corten.store.records.uses import Uses


class ImageBuilder:
    """Belongs to the event loop."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        pulls: Pulls,
        events: Events,
        uses: Uses,
        keeping: CacheMountService,
        tempdirs: TempDirs,
        defaults: BuildDefaults,
    ) -> None:
        self._store = store
        self._executor = executor
        self._pulls = pulls
        self._events = events
        self._uses = uses
        self._keeping = keeping
        self._tempdirs = tempdirs
        self._defaults = defaults
        self._steps: SingleFlight[DiffId | None] = SingleFlight()
        self._pulling: SingleFlight[None] = SingleFlight()
        self._fetched = FetchedSources()
        self._lookups = LayerLookups()
        self._cache = BuildCache(store.db, store.layers)
        self._remote_caches = RemoteCaches(store, pulls, pulls.settings)

    async def build(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """As `corten.engine.build.builds.Builds.build`."""
        vertices = InternalVertices(emit)
        async with AsyncExitStack() as stack:
            images = BaseImageResolver(self._store.images, self._uses, self._pulls, request.credentials, self._pulling)
            definition = await load_definition(request, self._store, images, self._defaults, vertices, stack)
            given = definition.given
            exports, attestation = read_cache_exports(given.cache_to), read_provenance_options(given.provenance)
            sbom = read_sbom_options(given.sbom)
            if not await definition.answer(emit):
                return BuildResult(ImageId(""))
            lease = stack.enter_context(self._store.layers.lease())
            caches = stack.enter_context(self._remote_caches.session(request.credentials, emit))
            imported = await caches.opened(read_cache_imports([*given.cache_from, *request.cache_from]))
            result = await definition.solve(self._worker(imported, caches.cancel_import), lease, emit)
            if given.check_reproducible:
                await self._check_reproducible(definition, result, lease, emit)
            of_image = record_chain(result.records, result.state.key)
            await caches.write(exports, of_image, list(result.records.values()))
            inline = of_image if definition.options.inline_cache or any(export.kind == "inline" for export in exports) else ()
            config = _image_config(self._dated(result, of_image), request.options, result.epoch)
            raw = _encoded(config, inline)
            sboms = await self._sboms(sbom, definition, result, lease, emit, _Made.of(raw, config)) if sbom else None
            capture = definition.capture(result)
            with vertices.step("exporting to image", internal=False) as step:
                summary = provenance_summary(attestation or ProvenanceOptions(False), capture, time.time())
                built = self._record(raw, request)._replace(provenance=summary)
                if attestation is not None:
                    self._store.origins.replace_attachment(provenance(attestation, capture, built.image, time.time()), *SLSA)
                if sboms is not None:
                    self._store.origins.replace_attachment(stored_sboms(sboms, built.image))
                for name in (f"writing image {built.image}", *(f"naming to {tag}" for tag in request.tags)):
                    vertices.progress(step, name, 0)
        self._store.durability.settle_later()
        await self._keeping.enforce()
        return built

    async def _check_reproducible(self, definition: BuildDefinition, first: SolveResult, lease: Lease, emit: Emit) -> None:
        """Builds once more without the step cache. Raises Conflict when that gives another image."""
        second = await definition.solve(self._worker(None), lease, second_build_events(emit), no_cache=True)
        with InternalVertices(emit, "compare").step("comparing two builds", internal=False):
            await asyncio.to_thread(compare, self._store.layers, first, second)

    def _dated(self, result: SolveResult, steps: Sequence[CacheRecord]) -> ImageState:
        """With all times in its history. Where no step made files, that is when this was first built."""
        state = result.state
        if not is_undated(state.history) or steps:
            return replace(state, history=dated(state.history))
        told = [entry.created_by for entry in state.history if entry.created == UNDATED]
        key = step_key("config", state.key, msgspec.json.encode(state.config), told)
        with self._store.db.transaction():
            at = self._cache.created(key)
            if at is None:
                at = time.time_ns()
                self._cache.put(key, None, told[-1] or "", at)
        created = format_time(at)
        history = (msgspec.structs.replace(e, created=created) if e.created == UNDATED else e for e in state.history)
        return replace(state, history=tuple(history))

    async def _sboms(
        self, options: SbomOptions, definition: BuildDefinition, result: SolveResult, lease: Lease, emit: Emit, made: "_Made"
    ) -> Sboms:
        scanner = SbomScanner(
            options=definition.options,
            images=definition.images,
            executor=self._executor,
            snapshotter=self._snapshotter(lease, None if result.epoch is None else result.epoch * 10**9),
            tempdirs=self._tempdirs,
            layers=self._store.layers,
            epoch=made.created,
            emit=emit,
        )
        targets = definition.scan_targets(result)
        return await scanner.stored_or_scan(options, targets, self._store.origins.attachments_of(made.image))

    def _worker(self, remote_cache: RemoteCache | None, cancel_import: Callable[[], None] = lambda: None) -> Worker:
        return Worker(
            cache=self._cache,
            cachemounts=self._keeping.caches,
            steps=self._steps,
            fetched=self._fetched,
            tempdirs=self._tempdirs,
            executor=self._executor,
            snapshotter=self._snapshotter,
            remote_cache=remote_cache,
            cancel_import=cancel_import,
        )

    def _snapshotter(self, lease: Lease, newest: int | None) -> BuildSnapshotter:
        return BuildSnapshotter(self._store.snapshots, self._store.layers, partial(_commit, self._store), lease, newest, self._lookups)

    def _record(self, raw: bytes, request: BuildRequest) -> BuildResult:
        images = self._store.images
        with self._store.db.transaction():
            is_new = images.by_id(ImageId(sha256_digest(raw))) is None
            image_id = images.add(raw)
            for reference in request.tags:
                images.tag(reference, image_id)
        for reference in request.tags:
            self._events.publish("image", "tag", image_id, {"name": reference.familiar})
        return BuildResult(image_id, is_new)


def _commit(store: Store, key: str, lease: Lease, *, newest: int | None) -> DiffId:
    return seal_snapshot(store.snapshots, store.layers, key, lease, newest=newest).diff_id


class _Made(NamedTuple):
    """An image that is not recorded yet, and when it was made, in seconds since the epoch."""

    image: ImageId
    created: int

    @classmethod
    def of(cls, raw: bytes, config: ImageConfig) -> "_Made":
        return cls(ImageId(sha256_digest(raw)), seconds_of(config.created) or 0)


def _encoded(config: ImageConfig, inline: Sequence[CacheRecord]) -> bytes:
    raw = encode_image_config(config)
    return with_inline_cache(raw, inline) if inline else raw


def _image_config(state: ImageState, options: BuildOptions, epoch: int | None) -> ImageConfig:
    platform = parse_platform(options.platform)
    created = latest(state.history) or state.base.created if epoch is None else format_time(epoch * 10**9)
    run = state.config
    return ImageConfig(
        architecture=state.base.architecture or platform.architecture,
        os=state.base.os or platform.os,
        variant=state.base.variant or platform.variant,
        created=created,
        author=state.base.author,
        config=run,
        rootfs=RootFs(diff_ids=list(state.layers)),
        history=list(state.history),
    )
