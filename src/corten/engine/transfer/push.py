"""Push: an image in the store becomes a name at a registry.

Its layers go first (`outgoing`), then its config, then its manifest: the one that came from a registry, byte for byte, when all its
blobs are the ones that are there. When the name stood for an index and everything that the index lists is at the registry or here,
the whole index goes, attestations too, so that its digest stays the same.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corten.engine.events import Events
from corten.engine.progress import Report, Status
from corten.engine.transfer.cancellation import interruptible
from corten.engine.transfer.outgoing import InMemory, LayerPush
from corten.errors import Invalid, NotFound, Unauthenticated
from corten.ids import Digest, ImageId
from corten.kernel.libc import give_back_memory
from corten.oci.digest import sha256_digest
from corten.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    encode,
    parse_manifest,
)
from corten.oci.platform import Platform, can_run, normalise
from corten.oci.reference import Reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.store.archive.attesting import Statement, attest, statements_of
from corten.store.images import Image
from corten.store.opened import Store
from corten.store.origins import LayerBlob, StoredManifest


@dataclass(frozen=True, slots=True)
class PushResult:
    tag: str
    digest: Digest
    size: int


class Pushes:
    """Belongs to the event loop; each push runs in threads of its own."""

    def __init__(self, store: Store, settings: RegistrySettings, events: Events) -> None:
        self._store = store
        self._settings = settings
        self._events = events

    async def push(
        self,
        reference: Reference,
        report: Report,
        *,
        credentials: Credentials | None = None,
        all_tags: bool = False,
        platform: Platform | None = None,
    ) -> list[PushResult]:
        """Sends the image of that name (or of every tag of the repository). With `platform` the image alone, no index.

        Raises NotFound, Invalid, Denied, Unauthenticated, Unavailable.
        """
        if reference.digest:
            raise Invalid("cannot push a digest reference", reason="bad-reference")
        references = self._found(reference, platform, all_tags=all_tags)
        report(Status(f"The push refers to repository [{reference.name}]"))
        if not references:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}", reason="no-such-image")
        gone = threading.Event()
        done = []
        with Session(reference.domain, self._settings, credentials, push=True) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name, push=True)
            for one, image in references:
                layers = LayerPush(self._store, repository, one, report, gone.is_set)
                job = _PushJob(self._store, repository, one, report, layers)
                done.append(await _pushed(lambda job=job, image=image: job.run(image, alone=platform is not None), gone))  # type: ignore[misc]
                self._events.publish("image", "push", one.familiar, {"name": one.familiar_name})
            await asyncio.to_thread(give_back_memory)
        return done

    def _found(self, reference: Reference, platform: Platform | None, *, all_tags: bool) -> list[tuple[Reference, Image]]:
        if all_tags:
            found = [(tag, image) for image in self._store.images.all() for tag in image.tags if tag.name == reference.name]
            found.sort(key=lambda pair: str(pair[0]))
        else:
            one = reference.with_default_tag()
            image = self._store.images.find(str(one))
            found = [(one, image)] if image else []
        for one, image in found:
            here = normalise(image.config.os or "linux", image.config.architecture, image.config.variant)
            if platform is not None and not can_run(platform, here):
                text = f"image with reference {one.familiar} was found but its platform ({here}) does not match the specified platform"
                raise NotFound(f"{text} ({platform})", reason="no-such-platform")
        return found


async def _pushed(work: Callable[[], PushResult], gone: threading.Event) -> PushResult:
    try:
        return await interruptible(work, gone)
    except Unauthenticated as error:
        if error.reason == "registry-no-credentials":  # without the URL, as Docker says it in a push
            raise Unauthenticated("no basic auth credentials", reason=error.reason, hint=error.hint) from error
        raise


class _PushJob:
    """One image under one tag. Blocking."""

    def __init__(self, store: Store, repository: Repository, reference: Reference, report: Report, layers: LayerPush) -> None:
        self._store = store
        self._repository = repository
        self._reference = reference
        self._report = report
        self._layers = layers

    def run(self, image: Image, *, alone: bool) -> PushResult:
        statements = [] if alone else statements_of(self._store.origins.attachments_of(image.id).values())
        manifest = self._image(image, oci=bool(statements))
        index = None if alone else self._attested(image, manifest, statements) or self._index(image, manifest.digest)
        top = index or manifest
        tag = str(self._reference.tag)
        if index is not None:
            self._put(manifest.digest, manifest)
        self._put(tag, top)
        with self._store.db.transaction():
            self._store.images.tag(self._reference.with_digest(top.digest), image.id)
            for stored in (manifest, top):
                self._store.origins.add_manifest(stored)
        self._report(Status(f"{tag}: digest: {top.digest} size: {len(top.raw)}"))
        return PushResult(tag, top.digest, len(top.raw))

    def _attested(self, image: Image, manifest: StoredManifest, statements: Sequence[Statement]) -> StoredManifest | None:
        """The index with what builds of ours say about the image; None when nothing is said."""
        if not statements:
            return None
        made = attest(image, manifest, [self._reference], statements)
        for blob in made.blobs:
            self._blob(blob.digest, blob.raw)
        self._put(made.manifest.digest, made.manifest)
        return made.index

    def _image(self, image: Image, *, oci: bool = False) -> StoredManifest:
        """Layers and config are at the registry when this returns; the manifest that names them, of OCI's form where we choose."""
        blobs = self._layers.send(image)
        self._blob(Digest(image.id), image.raw)
        return self._manifest(image, blobs, oci=oci)

    def _blob(self, digest: Digest, raw: bytes) -> None:
        uploader = self._layers.uploader()
        if not uploader.has(digest):
            uploader.upload(digest, InMemory(raw))

    def _put(self, name: str, manifest: StoredManifest) -> None:
        self._layers.uploader().put_manifest(name, manifest.media_type, manifest.raw)

    def _manifest(self, image: Image, blobs: Sequence[LayerBlob], *, oci: bool) -> StoredManifest:
        for stored in self._store.origins.manifests_of(image.id):
            parsed = parse_manifest(stored.raw, stored.media_type)
            if isinstance(parsed, Manifest) and [d.digest for d in parsed.layers] == [b.digest for b in blobs]:
                return stored
        made = made_manifest(image, blobs, oci=oci)
        raw = encode(made)
        return StoredManifest(sha256_digest(raw), image.id, made.media_type, raw)

    def _index(self, image: Image, manifest: Digest) -> StoredManifest | None:
        """The index that the image came from, once all that it lists is at the registry; None when something is nowhere."""
        for stored in self._store.origins.manifests_of(image.id):
            parsed = parse_manifest(stored.raw, stored.media_type)
            if isinstance(parsed, Index) and manifest in [d.digest for d in parsed.manifests] and self._complete(parsed, image, manifest):
                return stored
        return None

    def _complete(self, index: Index, image: Image, manifest: Digest) -> bool:
        return all(d.digest == manifest or self._entry(Digest(d.digest), image.id) for d in index.manifests)

    def _entry(self, digest: Digest, image: ImageId) -> bool:
        """Another entry of the index: there already, an attestation that we keep, or an image for another platform that is here."""
        if self._repository.has_manifest(digest):
            return True
        attachments = self._store.origins.attachments_of(image)
        kept = attachments.get(digest)
        if kept is not None:
            parsed = parse_manifest(kept.raw, kept.media_type)
            parts = [parsed.config, *parsed.layers] if isinstance(parsed, Manifest) else []
            if not all(Digest(part.digest) in attachments for part in parts):
                return False
            for part in parts:
                self._blob(Digest(part.digest), attachments[Digest(part.digest)].raw)
            self._put(digest, kept)
            return True
        other = self._store.origins.find_manifest(digest)
        sibling = self._store.images.by_id(other.image) if other else None
        if sibling is None:
            return False
        sent = self._image(sibling)
        if sent.digest == digest:
            self._put(digest, sent)
        return sent.digest == digest


def made_manifest(image: Image, blobs: Sequence[LayerBlob], *, oci: bool = False) -> Manifest:
    """A manifest of our own making: Docker's, unless `oci` or a layer has a media type of OCI's, which Docker's must not hold."""
    if not oci and not any(blob.media_type.startswith(OCI_LAYER) for blob in blobs):
        layers = [Descriptor(media_type=b.media_type, digest=b.digest, size=b.size) for b in blobs]
        config = Descriptor(media_type=DOCKER_CONFIG, digest=image.id, size=len(image.raw))
        return Manifest(schema_version=2, media_type=DOCKER_MANIFEST, config=config, layers=layers)
    oci_type = {DOCKER_LAYER: f"{OCI_LAYER}+gzip"}
    layers = [Descriptor(media_type=oci_type.get(b.media_type, b.media_type), digest=b.digest, size=b.size) for b in blobs]
    config = Descriptor(media_type=OCI_CONFIG, digest=image.id, size=len(image.raw))
    return Manifest(schema_version=2, media_type=OCI_MANIFEST, config=config, layers=layers)
