"""A build from request to tagged image."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from corten.build import cache as build_cache
from corten.build import caches as build_caches
from corten.build.cache import BuildCache
from corten.build.caches import CacheMounts
from corten.build.dockerfile.parser import parse
from corten.build.events import Emit
from corten.build.options import BuildOptions, Executor, Secrets, Sources
from corten.build.solve import Build, Result, Workbench
from corten.build.workshop import Workshop
from corten.engine.build.bases import Bases
from corten.engine.build.context import ignore_rules, read_dockerfile, received
from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.ids import DiffId, ImageId
from corten.oci.image import ImageConfig, RootFs, encode_image_config
from corten.oci.platform import parse_platform
from corten.oci.reference import Reference
from corten.registry.auth import Credentials
from corten.store.layertar.seal import seal_snapshot
from corten.store.opened import Store
from corten.store.records.leases import Lease

MIGRATIONS: Final = (*build_cache.MIGRATIONS, *build_caches.MIGRATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """`dockerfile` is its path in the context; `text` a Dockerfile that is not in it. `credentials` by registry domain."""

    options: BuildOptions
    dockerfile: str = "Dockerfile"
    tags: Sequence[Reference] = ()
    credentials: dict[str, Credentials] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pruned:
    keys: tuple[str, ...]
    reclaimed: int  # bytes


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

    def __init__(self, store: Store, executor: Executor, pulls: Pulls, events: Events, caches: CacheMounts) -> None:
        self._store = store
        self._executor = executor
        self._pulls = pulls
        self._events = events
        self.caches = caches
        self.cache = BuildCache(store.db, store.layers)

    async def build(self, request: BuildRequest, body: AsyncIterator[bytes], emit: Emit, secrets: Secrets | None = None) -> ImageId:
        """The image's id; it has its tags when this returns. Nothing is tagged when it fails. Cancelling ends what runs.

        Raises DockerfileError, StepFailed, NotFound, Invalid, Unavailable.
        """
        async with AsyncExitStack() as stack:
            tree = await stack.enter_async_context(received(self._store.layers, body))
            text = await asyncio.to_thread(read_dockerfile, tree, request.dockerfile)
            dockerfile = parse(text, request.dockerfile)
            tree = replace(tree, rules=ignore_rules(tree, request.dockerfile))
            lease = stack.enter_context(self._store.layers.lease())
            bases = Bases(self._store.images, self._pulls, request.credentials)
            sources = Sources(context=tree, images=bases) if secrets is None else Sources(context=tree, images=bases, secrets=secrets)
            result = await Build(dockerfile, request.options, sources, self._bench(), lease, emit).run()
            image_id = self._record(result, request)
        self._store.durability.settle_later()
        return image_id

    async def prune(self, *, everything: bool, older_than: int | None = None) -> Pruned:
        """Forgets cached steps (all, or those that no image shares) not used since `older_than` (ns).

        Cache mounts, which are dear to make again, go only with `everything`.
        """
        images = {layer for image in self._store.images.all() for layer in image.layers}
        gone = self.cache.forget(
            lambda entry: (older_than is None or entry.used < older_than) and (everything or entry.layer not in images)
        )
        removed = await asyncio.to_thread(self._store.layers.collect)
        reclaimed = sum(layer.size for layer in removed)
        names = [entry.key[:25] for entry in gone]
        for mount in self.caches.list() if everything else ():
            if mount.in_use or (older_than is not None and mount.used >= older_than):
                continue
            reclaimed += await asyncio.to_thread(self.caches.size, mount.id)
            self.caches.remove(mount.id)
            names.append(mount.id)
        return Pruned(tuple(names), reclaimed)

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

    def _bench(self) -> Workbench:
        return Workbench(cache=self.cache, caches=self.caches, executor=self._executor, workshop=self._workshop)

    def _workshop(self, lease: Lease, newest: int) -> Workshop:
        return Workshop(self._store.snapshots, self._store.layers, partial(_seal, self._store), lease, newest)

    def _record(self, result: Result, request: BuildRequest) -> ImageId:
        raw = encode_image_config(_image_config(result, request.options))
        images = self._store.images
        with self._store.db.transaction():
            image_id = images.add(raw)
            for reference in request.tags:
                images.tag(reference, image_id)
        for reference in request.tags:
            self._events.publish("image", "tag", image_id, {"name": reference.familiar})
        return image_id


def _seal(store: Store, key: str, lease: Lease, *, newest: int) -> DiffId:
    return seal_snapshot(store.snapshots, store.layers, key, lease, newest=newest).diff_id


def _image_config(result: Result, options: BuildOptions) -> ImageConfig:
    draft, platform = result.draft, parse_platform(options.platform)
    created = datetime.fromtimestamp(result.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = draft.config
    return ImageConfig(
        architecture=draft.base.architecture or platform.architecture,
        os=draft.base.os or platform.os,
        variant=draft.base.variant or platform.variant,
        created=created,
        author=draft.base.author,
        config=run,
        rootfs=RootFs(diff_ids=list(draft.layers)),
        history=list(draft.history),
    )
