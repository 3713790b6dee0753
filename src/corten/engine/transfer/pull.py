"""Pull: a name at a registry becomes an image in the store."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corten.engine.events import Events
from corten.engine.progress import Report, Status
from corten.engine.transfer.cancellation import interruptible
from corten.engine.transfer.layers import LayerPull, RemoteLayer
from corten.engine.transfer.partial_pulls import PartialPulls, keeper_of
from corten.engine.transfer.refetch import Refetch
from corten.engine.transfer.singleflight import InFlight
from corten.errors import Invalid, NotFound, Unsupported
from corten.ids import Digest, ImageId
from corten.kernel.libc import give_back_memory
from corten.oci.digest import sha256_digest
from corten.oci.image import parse_image_config
from corten.oci.manifest import ATTESTATION_SUBJECT, DOCKER_CONFIG, OCI_CONFIG, Descriptor, Index, Manifest, parse_manifest
from corten.oci.platform import Platform, can_run, host_platform, normalise, parse_platform, preference
from corten.oci.reference import Reference
from corten.registry import client as registry
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import Partials
from corten.store.opened import Store
from corten.store.origins import StoredManifest

LARGEST_CONFIG: Final = 8 << 20
_LARGEST_ATTESTATION: Final = 32 << 20
"""Of all attestations of one image; what is larger stays at the registry."""
_CONFIGS: Final = frozenset((OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json", "text/html", ""))


@dataclass(frozen=True, slots=True)
class PullResult:
    """`is_new`: the name pointed at another image before, or at none."""

    id: ImageId
    digest: Digest
    is_new: bool
    platform: Platform


class Pulls:
    """Belongs to the event loop; each pull runs in a thread of its own."""

    def __init__(self, store: Store, settings: RegistrySettings, events: Events, reclaimable: Callable[[], int] = lambda: 0) -> None:
        """`reclaimable` tells how many bytes `image prune -a` would give back; for the error when there is no room."""
        self._store = store
        self.settings = settings
        self._events = events
        self._reclaimable = reclaimable
        self._folder = Path(store.root.content) / "partials"
        self._in_flight = InFlight()
        self.partial = PartialPulls(store, Partials(self._folder), self._in_flight)

    async def pull(
        self, reference: Reference, report: Report, *, platform: str = "", credentials: Credentials | None = None, all_tags: bool = False
    ) -> None:
        """Brings the image (or every tag of the repository), telling `report` Docker's lines. Cancelling keeps what has arrived.

        Raises NotFound, Unauthenticated, Unavailable, Invalid, Unsupported.
        """
        wanted = parse_platform(platform) if platform else host_platform()
        gone = threading.Event()
        with Session(reference.domain, self.settings, credentials) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name)
            references = [reference.with_default_tag()]
            if all_tags:
                tags = await asyncio.to_thread(repository.tags)
                references = [reference.with_tag(tag) for tag in tags]
            layers = LayerPull(self._store, self._folder, self._in_flight, report, gone.is_set, self._reclaimable())
            job = _PullJob(self._store, layers, report)
            done = []
            for one in references:
                done.append(await interruptible(lambda one=one: job.run(repository, one, wanted), gone))  # type: ignore[misc]
                self._announce(one)
            await asyncio.to_thread(give_back_memory)
            self._store.durability.settle_later()
        outcome = "Downloaded newer image" if any(pulled.is_new for pulled in done) else "Image is up to date"
        shown = (reference if all_tags else reference.with_default_tag()).familiar
        report(Status(f"Status: {outcome} for {shown}"))
        found = done[-1].platform if done else wanted
        if platform and not can_run(wanted, found):
            text = f"image with reference {shown} was found but its platform ({found}) does not match the specified platform ({wanted})"
            report(Status(f"WARNING: {text}"))

    def layers(self, report: Report, cancelled: Callable[[], bool]) -> LayerPull:
        """What brings single layers from a registry, and shares downloads with these pulls."""
        return LayerPull(self._store, self._folder, self._in_flight, report, cancelled, self._reclaimable())

    def refetch(self) -> Refetch:
        """What brings single layers again, and shares downloads with these pulls."""
        return Refetch(self._store, self.settings, self._folder, self._in_flight)

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

    def run(self, repository: Repository, reference: Reference, platform: Platform) -> PullResult:
        top = repository.resolve(str(reference.digest or reference.tag), self._known)
        found, chosen = self._chosen(repository, top, platform, reference)
        self._report(Status(f"Pulling from {reference.path}", reference.familiar if reference.digest else str(reference.tag)))
        raw = self._config(repository, found)
        config = parse_image_config(raw)
        if len(config.layers) != len(found.layers):
            raise Invalid(
                f"{reference.familiar}: {len(found.layers)} layers, but its config names {len(config.layers)}", reason="bad-manifest"
            )
        layers = [RemoteLayer.of(d, diff_id, reference.name) for d, diff_id in zip(found.layers, config.layers, strict=True)]
        with self._store.layers.lease() as lease:
            self._layers.bring(repository, layers, lease, image_is_known=self._store.images.find_whole(found.config.digest) is not None)
            image_id, is_new = self._record(raw, reference, top, chosen)
        self._keep_attestations(repository, top, chosen, image_id)
        self._report(Status(f"Digest: {top.digest}"))
        found_platform = normalise(config.os or "linux", config.architecture, config.variant)
        return PullResult(image_id, top.digest, is_new, found_platform)

    def _keep_attestations(self, repository: Repository, top: registry.Manifest, chosen: registry.Manifest, image_id: ImageId) -> None:
        parsed = parse_manifest(top.raw, top.media_type)
        if not isinstance(parsed, Index) or not attested(parsed, chosen.digest):
            return
        if self._store.origins.attachments_of(image_id):
            return
        for attachment in fetch_attestations(repository, parsed, chosen.digest, image_id):
            self._store.origins.add_attachment(attachment)

    def _known(self, digest: Digest) -> registry.Manifest | None:
        """A manifest that some image here has already; its bytes are checked, since they lay on a disk."""
        stored = self._store.origins.find_manifest(digest)
        if stored is None or sha256_digest(stored.raw) != digest:
            return None
        return registry.Manifest(digest, stored.media_type, stored.raw)

    def _chosen(
        self, repository: Repository, top: registry.Manifest, platform: Platform, reference: Reference
    ) -> tuple[Manifest, registry.Manifest]:
        """The manifest for `platform`: the one that `top` is, or the best that it lists."""
        parsed = parse_manifest(top.raw, top.media_type)
        if isinstance(parsed, Manifest):
            return parsed, top
        inner = repository.resolve(_best(parsed, platform, reference), self._known)
        found = parse_manifest(inner.raw, inner.media_type)
        if isinstance(found, Index):
            raise Invalid(f"{reference.familiar}: an index inside an index", reason="nested-index")
        return found, inner

    def _config(self, repository: Repository, manifest: Manifest) -> bytes:
        if manifest.config.media_type not in _CONFIGS:
            raise Unsupported(
                f"unsupported media type {manifest.config.media_type}",
                reason="no-image",
                hint="this is an artifact (a chart, a model, a signature), no image: only images can be pulled",
            )
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
            for diff_id in parse_image_config(raw).layers:
                self._store.layers.keeps.let_go(keeper_of(diff_id))
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


def attested(index: Index, subject: str) -> list[Descriptor]:
    """The index's entries about the manifest `subject`."""
    return [d for d in index.manifests if d.is_attestation and (d.annotations or {}).get(ATTESTATION_SUBJECT) == subject]


def fetch_attestations(repository: Repository, index: Index, subject: str, image: ImageId) -> Iterator[StoredManifest]:
    """Manifest, config and statements of each. One that the registry lost, or whose bytes are wrong, is left out."""
    left = _LARGEST_ATTESTATION
    for descriptor in attested(index, subject):
        try:
            found = list(_fetched(repository, descriptor, image, left))
        except (NotFound, Invalid):
            continue
        left -= sum(len(one.raw) for one in found)
        yield from found


def _fetched(repository: Repository, descriptor: Descriptor, image: ImageId, left: int) -> Iterator[StoredManifest]:
    got = repository.manifest(descriptor.digest)
    parsed = parse_manifest(got.raw, got.media_type)
    if not isinstance(parsed, Manifest):
        return
    parts = [parsed.config, *parsed.layers]
    if sum(part.size for part in parts) + len(got.raw) > left:
        return
    yield StoredManifest(got.digest, image, got.media_type, got.raw)
    for part in parts:
        digest = Digest(part.digest)
        yield StoredManifest(digest, image, part.media_type, repository.blob(digest, part.size))
