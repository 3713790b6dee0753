"""Pull: a name at a registry becomes an image in the store."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corten.engine.events import Events
from corten.engine.transfer.layers import LayerPull, RemoteLayer
from corten.engine.transfer.progress import Progress, Report
from corten.engine.transfer.refetch import Refetch
from corten.engine.transfer.sharing import InFlight
from corten.errors import Invalid, NotFound
from corten.ids import Digest, ImageId
from corten.oci.image import parse_image_config
from corten.oci.manifest import Index, Manifest, parse_manifest
from corten.oci.platform import Platform, host_platform, parse_platform, preference
from corten.oci.reference import Reference
from corten.registry import client as registry
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store
from corten.store.origins import StoredManifest

LARGEST_CONFIG = 8 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """`is_new`: the name pointed at another image before, or at none."""

    id: ImageId
    digest: Digest
    is_new: bool


class Pulls:
    """Belongs to the event loop; each pull runs in a thread of its own."""

    def __init__(self, store: Store, settings: RegistrySettings, events: Events) -> None:
        self._store = store
        self._settings = settings
        self._events = events
        self._folder = Path(store.root.content) / "partials"
        self._in_flight = InFlight()

    async def pull(
        self, reference: Reference, report: Report, *, platform: str = "", credentials: Credentials | None = None, all_tags: bool = False
    ) -> None:
        """Brings the image (or every tag of the repository), telling `report` Docker's lines. Cancelling keeps what has arrived.

        Raises NotFound, Unauthenticated, Unavailable, Invalid.
        """
        wanted = parse_platform(platform) if platform else host_platform()
        gone = threading.Event()
        with Session(reference.domain, self._settings, credentials) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name)
            references = [reference.with_default_tag()]
            if all_tags:
                tags = await asyncio.to_thread(repository.tags)
                references = [reference.with_tag(tag) for tag in tags]
            job = _PullJob(self._store, LayerPull(self._store, self._folder, self._in_flight, report, gone.is_set), report)
            new = False
            for one in references:
                pulled = await _in_thread(lambda one=one: job.run(repository, one, wanted), gone)  # type: ignore[misc]
                new = new or pulled.is_new
                self._announce(one)
            self._store.durability.settle_later()
        outcome = "Downloaded newer image" if new else "Image is up to date"
        report(Progress(f"Status: {outcome} for {reference.with_default_tag().familiar if not all_tags else reference.familiar}"))

    def refetch(self) -> Refetch:
        """What brings single layers again, and shares downloads with these pulls."""
        return Refetch(self._store, self._settings, self._folder, self._in_flight)

    def _announce(self, reference: Reference) -> None:
        image = self._store.images.find(str(reference))
        labels = (image.config.run.labels if image else None) or {}
        self._events.publish("image", "pull", reference.familiar, {**labels, "name": reference.familiar_name})


class _PullJob:
    """The blocking part."""

    def __init__(self, store: Store, layers: LayerPull, report: Report) -> None:
        self._store = store
        self._layers = layers
        self._report = report

    def run(self, repository: Repository, reference: Reference, platform: Platform) -> Pulled:
        tag = str(reference.digest or reference.tag)
        top = repository.manifest(tag)
        self._report(Progress(f"Pulling from {_shown_path(reference)}", tag))
        found, chosen = self._chosen(repository, top, platform, reference)
        raw = self._config(repository, found)
        config = parse_image_config(raw)
        if len(config.layers) != len(found.layers):
            raise Invalid(
                f"{reference.familiar}: {len(found.layers)} layers, but its config names {len(config.layers)}", reason="bad-manifest"
            )
        layers = [
            RemoteLayer(Digest(d.digest), diff_id, d.size, d.media_type, reference.name)
            for d, diff_id in zip(found.layers, config.layers, strict=True)
        ]
        with self._store.layers.lease() as lease:
            self._layers.bring(repository, layers, lease)
            image_id, is_new = self._record(raw, reference, top, chosen)
        self._report(Progress(f"Digest: {top.digest}"))
        return Pulled(image_id, top.digest, is_new)

    def _chosen(
        self, repository: Repository, top: registry.Manifest, platform: Platform, reference: Reference
    ) -> tuple[Manifest, registry.Manifest]:
        """The manifest for `platform`: the one that `top` is, or the best that it lists."""
        parsed = parse_manifest(top.raw, top.media_type)
        if isinstance(parsed, Manifest):
            return parsed, top
        digest = _best(parsed, platform, reference)
        inner = repository.manifest(digest)
        found = parse_manifest(inner.raw, inner.media_type)
        if isinstance(found, Index):
            raise Invalid(f"{reference.familiar}: an index inside an index", reason="nested-index")
        return found, inner

    def _config(self, repository: Repository, manifest: Manifest) -> bytes:
        known = self._store.images.by_id(ImageId(manifest.config.digest))
        if known is not None:
            return known.raw
        if manifest.config.size > LARGEST_CONFIG:
            raise Invalid(f"the image's config has {manifest.config.size} bytes", reason="bad-manifest")
        return repository.blob(Digest(manifest.config.digest), manifest.config.size)

    def _record(self, raw: bytes, reference: Reference, top: registry.Manifest, chosen: registry.Manifest) -> tuple[ImageId, bool]:
        images, origins = self._store.images, self._store.origins
        with self._store.db.transaction():
            image_id = images.add(raw)
            before = images.find_id(str(reference))
            images.tag(reference.with_digest(top.digest), image_id)
            if reference.tag and not reference.digest:
                images.tag(reference, image_id)
            for manifest in (top, chosen):
                origins.add_manifest(StoredManifest(manifest.digest, image_id, manifest.media_type, manifest.raw))
        return image_id, before != image_id


def _best(index: Index, platform: Platform, reference: Reference) -> str:
    fitting = [
        (distance, number, d.digest)
        for number, d in enumerate(index.manifests)
        if d.platform and not d.is_attestation and (distance := preference(platform, d.platform.normalised())) is not None
    ]
    if fitting:
        return min(fitting)[2]
    offered = sorted({str(d.platform.normalised()) for d in index.manifests if d.platform and not d.is_attestation})
    if not offered and len(index.manifests) == 1:
        return index.manifests[0].digest
    text = f"no matching manifest for {platform} in the manifest list entries"
    raise NotFound(
        text, reason="no-such-platform", hint=f"{reference.familiar} is offered for {', '.join(offered) or 'no platform at all'}"
    )


def _shown_path(reference: Reference) -> str:
    """Docker shows the path without the registry's name, `library/` kept."""
    return reference.path


async def _in_thread(work: Callable[[], Pulled], gone: threading.Event) -> Pulled:
    """`work` in a thread; cancelling sets `gone` and waits until the thread has noticed."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        gone.set()
        await asyncio.gather(task, return_exceptions=True)
        raise
