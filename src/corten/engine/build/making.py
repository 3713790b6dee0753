"""One build, from its definition to the recorded image. Imported with the first build: an idle engine does not carry it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from corten.build.cache import BuildCache
from corten.build.dockerfile.instructions import Dockerfile
from corten.build.dockerfile.parser import parse
from corten.build.events import Emit
from corten.build.files.fetched import FetchedSources
from corten.build.files.tempdirs import TempDirs
from corten.build.files.tree import Tree
from corten.build.graph import binds_context
from corten.build.layer_lookups import LayerLookups
from corten.build.options import BuildOptions, Sources
from corten.build.remotecache import CacheRecord, RemoteCache, record_chain
from corten.build.singleflight import SingleFlight
from corten.build.snapshotter import BuildSnapshotter
from corten.build.solve import Build, Result, Worker, global_values
from corten.engine.build.bases import Bases
from corten.engine.build.builds import BuildRequest, Built, Footing
from corten.engine.build.context import ignore_rules, read_dockerfile
from corten.engine.build.delivery import Counted, Delivery, received, root_of
from corten.engine.build.folders.claims import Claims
from corten.engine.build.folders.known import KnownContexts
from corten.engine.build.folders.lying import lying
from corten.engine.build.internal import Internal
from corten.engine.build.lookover import asked
from corten.engine.build.provenance import Made, Wish, provenance, read_wish, told
from corten.engine.build.remote import Remote, fetch_context
from corten.engine.build.sboms.making import SbomMaking
from corten.engine.build.sboms.wishes import Wish as SbomWish
from corten.engine.build.sboms.wishes import read_sbom
from corten.engine.build.sboms.wishes import targets as roots_of
from corten.engine.build.sent import LocalAgents, SentSecrets, named_images, remote_contexts, with_extras
from corten.engine.build.sharing.exports import with_inline_cache
from corten.engine.build.sharing.sharing import CacheSharing
from corten.engine.build.sharing.wishes import read_origins, read_targets
from corten.engine.build.twice import again, compare
from corten.engine.cachemounts import CacheMountService
from corten.ids import DiffId, ImageId
from corten.oci.digest import sha256_digest
from corten.oci.image import ImageConfig, RootFs, encode_image_config
from corten.oci.platform import parse_platform
from corten.store.archive.attesting import SLSA, Sboms, stored_sboms
from corten.store.layertar.seal import seal_snapshot
from corten.store.opened import Store
from corten.store.records.leases import Lease


class Making:
    """Belongs to the event loop. `usual_ca` is the engine's own `build-ca`."""

    def __init__(self, footing: Footing, keeping: CacheMountService, usual_ca: str, tempdirs: TempDirs) -> None:
        self._store = footing.store
        self._uses = footing.uses
        self._executor = footing.executor
        self._pulls = footing.pulls
        self._events = footing.events
        self._keeping = keeping
        self._usual_ca = usual_ca
        self._tempdirs = tempdirs
        self._singleflight: SingleFlight[DiffId | None] = SingleFlight()
        self._remotes = FetchedSources()
        self._pulling: SingleFlight[None] = SingleFlight()
        self._seen = LayerLookups()
        self._contexts = KnownContexts(os.path.join(footing.store.root.path, "build", "contexts"))
        self._cache = BuildCache(footing.store.db, footing.store.layers)
        self._sharing = CacheSharing(footing.store, footing.pulls, footing.pulls.settings)

    async def built(self, request: BuildRequest, body: AsyncIterator[bytes], emit: Emit) -> Built:
        inside = Internal(emit)
        async with AsyncExitStack() as stack:
            loaded = self._delivered(request, inside, stack) if request.deliver else self._loaded(request, body, inside, stack)
            job = await loaded
            extras = job.delivery.extras
            targets, wish, sbom = read_targets(extras.cache_to), read_wish(extras.provenance), read_sbom(extras.sbom)
            await asked(extras.call, job.dockerfile, job.options, job.sources, emit)
            if extras.call != "build":
                return Built(ImageId(""))
            lease = stack.enter_context(self._store.layers.lease())
            sharing = stack.enter_context(self._sharing.session(request.credentials, emit))
            remote_cache = await sharing.opened(read_origins([*extras.cache_from, *request.cache_from]))
            result = await Build(
                job.dockerfile, job.options, job.sources, self._worker(remote_cache, sharing.cancel_import), lease, emit
            ).run()
            if extras.check_reproducible:
                await self._compare(job, result, lease, emit)
            of_image = record_chain(result.records, result.state.key)
            await sharing.write(targets, of_image, list(result.records.values()))
            inline = of_image if job.options.inline_cache or any(target.kind == "inline" for target in targets) else ()
            raw = _encoded(result, request.options, inline)
            sboms = await self._sboms(sbom, job, result, lease, emit, ImageId(sha256_digest(raw))) if sbom else None
            made = _made(job, result, request)
            with inside.step("exporting to image", internal=False) as step:
                built = self._record(raw, request)._replace(provenance=told(wish or Wish(False), made, time.time()))
                if wish is not None:
                    self._store.origins.replace_attachment(provenance(wish, made, built.image, time.time()), *SLSA)
                if sboms is not None:
                    self._store.origins.replace_attachment(stored_sboms(sboms, built.image))
                for name in (f"writing image {built.image}", *(f"naming to {tag}" for tag in request.tags)):
                    inside.moved(step, name, 0)
        self._store.durability.settle_later()
        await self._keeping.enforce()
        return built

    async def _loaded(self, request: BuildRequest, body: AsyncIterator[bytes], inside: Internal, stack: AsyncExitStack) -> "_Job":
        started = time.time()
        with inside.step("load build context") as step:
            counted = Counted(body)
            delivery = await stack.enter_async_context(received(self._store.layers, counted, parcel=request.parcel))
            if request.folders is not None:
                await self._take(request.folders, delivery, stack)
            inside.moved(step, "transferring context", counted.size)
        options = with_extras(request.options, delivery.extras, self._usual_ca)
        if request.remote:
            remote = Remote(request.remote, request.dockerfile, options.keep_git_dir)
            delivery.context = await stack.enter_async_context(self._fetched(remote, inside))
        for name, source in remote_contexts(delivery.extras).items():
            remote = Remote(source, keep_git_dir=options.keep_git_dir)
            delivery.named[name] = await stack.enter_async_context(self._fetched(remote, inside))
        with inside.step(f"load build definition from {request.dockerfile}") as step:
            text = await asyncio.to_thread(read_dockerfile, delivery.context, request.dockerfile, delivery.definition)
            request.explain(text)
            inside.moved(step, "transferring dockerfile", len(text.encode()))
        dockerfile = parse(text, request.dockerfile, options.frontend)
        beside = "" if delivery.definition is not None else request.dockerfile
        delivery.context.rules = ignore_rules(delivery.context, beside, delivery.ignored)
        delivery.context.may_link = delivery.context.local is None and not binds_context(dockerfile) and not delivery.extras.sbom
        bases = Bases(self._store.images, self._uses, self._pulls, request.credentials, self._pulling)
        return _Job(delivery, text, dockerfile, options, bases, _sources(bases, delivery), started)

    async def _take(self, claims: Claims, delivery: Delivery, stack: AsyncExitStack) -> None:
        """Folders of the client's that are read where they lie."""
        found = await stack.enter_async_context(lying(claims, self._contexts, self._store.layers))
        delivery.context = found.context or delivery.context
        for name, tree in found.named.items():
            tree.rules = await asyncio.to_thread(ignore_rules, tree, "")
            delivery.named[name] = tree

    async def _delivered(self, request: BuildRequest, inside: Internal, stack: AsyncExitStack) -> "_Job":
        """As `_loaded`, of parts that a client's session has."""
        assert request.deliver is not None, "somebody fetches the parts"
        started = time.time()
        delivery = await stack.enter_async_context(request.deliver(inside, self._store))
        options, text = with_extras(request.options, delivery.extras, self._usual_ca), delivery.text
        if text is None:
            remote = Remote(request.remote, request.dockerfile, options.keep_git_dir)
            delivery.context = await stack.enter_async_context(self._fetched(remote, inside))
            text = await asyncio.to_thread(read_dockerfile, delivery.context, request.dockerfile, None)
            delivery.context.rules = ignore_rules(delivery.context, request.dockerfile)
        for name, source in remote_contexts(delivery.extras).items():
            remote = Remote(source, keep_git_dir=options.keep_git_dir)
            delivery.named[name] = await stack.enter_async_context(self._fetched(remote, inside))
        request.explain(text)
        dockerfile = parse(text, request.dockerfile, options.frontend)
        bases = Bases(self._store.images, self._uses, self._pulls, request.credentials, self._pulling)
        return _Job(delivery, text, dockerfile, options, bases, _sources(bases, delivery), started)

    async def _compare(self, job: "_Job", first: Result, lease: Lease, emit: Emit) -> None:
        """Builds once more without the step cache. Raises Conflict when that gives another image."""
        anew = replace(job.options, no_cache=True)
        second = await Build(job.dockerfile, anew, job.sources, self._worker(None), lease, again(emit)).run()
        with Internal(emit, "compare").step("comparing two builds", internal=False):
            await asyncio.to_thread(compare, self._store.layers, first, second)

    async def _sboms(self, wish: SbomWish, job: "_Job", result: Result, lease: Lease, emit: Emit, image: ImageId) -> Sboms:
        making = SbomMaking(
            options=job.options,
            images=job.bases,
            executor=self._executor,
            snapshotter=self._snapshotter(lease, result.epoch * 10**9),
            tempdirs=self._tempdirs,
            layers=self._store.layers,
            epoch=result.epoch,
            emit=emit,
        )
        wanted = roots_of(result, global_values(job.dockerfile, job.options), job.sources.context)
        return await making.kept_or_made(wish, wanted, self._store.origins.attachments_of(image))

    @asynccontextmanager
    async def _fetched(self, remote: Remote, inside: Internal) -> AsyncIterator[Tree]:
        with self._store.layers.workplace() as work:
            folder = os.path.join(work, "diff")
            with inside.step(f"load remote build context {remote.where}"):
                await fetch_context(remote, folder)
            root = root_of(folder)
            try:
                yield Tree(root, own=False)
            finally:
                os.close(root)

    def _worker(self, remote_cache: RemoteCache | None, cancel_import: Callable[[], None] = lambda: None) -> Worker:
        return Worker(
            cache=self._cache,
            caches=self._keeping.caches,
            singleflight=self._singleflight,
            remotes=self._remotes,
            tempdirs=self._tempdirs,
            executor=self._executor,
            snapshotter=self._snapshotter,
            remote_cache=remote_cache,
            cancel_import=cancel_import,
        )

    def _snapshotter(self, lease: Lease, newest: int) -> BuildSnapshotter:
        return BuildSnapshotter(self._store.snapshots, self._store.layers, partial(_seal, self._store), lease, newest, self._seen)

    def _record(self, raw: bytes, request: BuildRequest) -> Built:
        images = self._store.images
        with self._store.db.transaction():
            is_new = images.by_id(ImageId(sha256_digest(raw))) is None
            image_id = images.add(raw)
            for reference in request.tags:
                images.tag(reference, image_id)
        for reference in request.tags:
            self._events.publish("image", "tag", image_id, {"name": reference.familiar})
        return Built(image_id, is_new)


@dataclass(frozen=True, slots=True)
class _Job:
    """A build whose definition is read. `started` in seconds since the epoch."""

    delivery: Delivery
    text: str
    dockerfile: Dockerfile
    options: BuildOptions
    bases: Bases
    sources: Sources
    started: float


def _sources(bases: Bases, delivery: Delivery) -> Sources:
    return Sources(
        context=delivery.context,
        named={**delivery.named, **named_images(delivery.extras)},
        images=bases,
        secrets=delivery.secret_source or SentSecrets(delivery.secrets),
        agents=delivery.agent_source or LocalAgents(delivery.extras.ssh),
    )


def _seal(store: Store, key: str, lease: Lease, *, newest: int) -> DiffId:
    return seal_snapshot(store.snapshots, store.layers, key, lease, newest=newest).diff_id


def _made(job: _Job, result: Result, request: BuildRequest) -> Made:
    return Made(
        options=job.options,
        dockerfile=request.dockerfile,
        text=job.text,
        remote=request.remote,
        started=job.started,
        materials=job.bases.materials(),
        steps=list(result.records.values()),
        stages=[job.dockerfile.stages[index] for index in result.stages],
    )


def _encoded(result: Result, options: BuildOptions, inline: Sequence[CacheRecord]) -> bytes:
    raw = encode_image_config(_image_config(result, options))
    return with_inline_cache(raw, inline) if inline else raw


def _image_config(result: Result, options: BuildOptions) -> ImageConfig:
    state, platform = result.state, parse_platform(options.platform)
    created = datetime.fromtimestamp(result.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
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
