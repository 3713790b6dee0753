"""Push: an image in the store becomes a name at a registry.

For each layer the cheapest way that works: the registry has it, it is in another repository of the same registry (mounted from
there), or its tar is rebuilt, compressed and uploaded. Manifests that came from a registry go back byte for byte when all their
blobs are the ones that are there.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from isal import isal_zlib

from corten.engine.events import Events
from corten.engine.transfer.progress import Meter, Progress, Report
from corten.errors import EngineError, NotFound, Unavailable
from corten.ids import DiffId, Digest, short_id
from corten.oci.digest import sha256_digest
from corten.oci.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, Manifest, encode, parse_manifest
from corten.oci.reference import Reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.registry.upload import Uploader
from corten.store.images import Image
from corten.store.layertar.rebuild import layer_tar
from corten.store.opened import Store
from corten.store.origins import LayerBlob, StoredManifest

WORKERS: Final = 3
LEVEL: Final = 2
_GZIP: Final = 31


@dataclass(frozen=True, slots=True)
class Pushed:
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
        self, reference: Reference, report: Report, *, credentials: Credentials | None = None, all_tags: bool = False
    ) -> list[Pushed]:
        """Sends the image of that name (or of every tag of the repository). Raises NotFound, Denied, Unauthenticated, Unavailable."""
        references = self._named(reference, all_tags=all_tags)
        gone = threading.Event()
        report(Progress(f"The push refers to repository [{reference.name}]"))
        done = []
        with Session(reference.domain, self._settings, credentials, push=True) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name, push=True)
            for one, image in references:
                job = _PushJob(self._store, repository, one, report, gone.is_set)
                try:
                    done.append(await asyncio.to_thread(job.run, image))
                except asyncio.CancelledError:
                    gone.set()
                    raise
                self._events.publish("image", "push", one.familiar, {"name": one.familiar_name})
        return done

    def _named(self, reference: Reference, *, all_tags: bool) -> list[tuple[Reference, Image]]:
        if not all_tags:
            one = reference.with_default_tag()
            image = self._store.images.find(str(one))
            if image is None:
                raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}", reason="no-such-image")
            return [(one, image)]
        found = [(tag, image) for image in self._store.images.all() for tag in image.tags if tag.name == reference.name]
        if not found:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}", reason="no-such-image")
        return sorted(found, key=lambda pair: str(pair[0]))


class _PushJob:
    def __init__(self, store: Store, repository: Repository, reference: Reference, report: Report, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self._repository = repository
        self._reference = reference
        self._report = report
        self._cancelled = cancelled

    def run(self, image: Image) -> Pushed:
        for diff_id in dict.fromkeys(image.layers):
            self._report(Progress("Preparing", short_id(diff_id)))
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="corten-push") as workers:
            sent = dict(zip(dict.fromkeys(image.layers), workers.map(self._layer, dict.fromkeys(image.layers)), strict=True))
        blobs = [sent[diff_id] for diff_id in image.layers]
        uploader = self._uploader()
        config = Digest(image.id)
        if not uploader.has(config):
            uploader.upload(config, _Memory(image.raw))
        raw, media_type = self._manifest(image, blobs)
        uploader.put_manifest(str(self._reference.tag), media_type, raw)
        digest = sha256_digest(raw)
        with self._store.db.transaction():
            self._store.images.tag(self._reference.with_digest(digest), image.id)
            self._store.origins.add_manifest(StoredManifest(digest, image.id, media_type, raw))
        tag = str(self._reference.tag)
        self._report(Progress(f"{tag}: digest: {digest} size: {len(raw)}"))
        return Pushed(tag, digest, len(raw))

    def _uploader(self) -> Uploader:
        return Uploader(self._repository, self._cancelled)

    def _layer(self, diff_id: DiffId) -> LayerBlob:
        """The layer's blob, which the repository has when this returns."""
        known = self._store.origins.blobs_of(diff_id)
        found = self._there(diff_id, known) or self._mounted(diff_id, known) or self._sent(diff_id)
        here = replace(found, repository=self._reference.name)
        self._store.origins.add_blob(here)
        return here

    def _there(self, diff_id: DiffId, known: Sequence[LayerBlob]) -> LayerBlob | None:
        for blob in {b.digest: b for b in known}.values():
            if self._uploader().has(blob.digest):
                self._report(Progress("Layer already exists", short_id(diff_id)))
                return blob
        return None

    def _mounted(self, diff_id: DiffId, known: Sequence[LayerBlob]) -> LayerBlob | None:
        domain = f"{self._reference.domain}/"
        for blob in known:
            if blob.repository.startswith(domain) and blob.repository != self._reference.name:
                source = blob.repository.removeprefix(domain)
                if self._uploader().mount(blob.digest, source):
                    self._report(Progress(f"Mounted from {source}", short_id(diff_id)))
                    return blob
        return None

    def _sent(self, diff_id: DiffId) -> LayerBlob:
        path = os.path.join(self._store.root.work, f"push-{threading.get_ident()}-{short_id(diff_id)}")
        try:
            digest, size = self._compressed(diff_id, path)
            uploader = self._uploader()
            if uploader.has(digest):
                self._report(Progress("Layer already exists", short_id(diff_id)))
            else:
                uploader.progress = Meter(self._report, "Pushing", short_id(diff_id), size).add
                with _File(path, size) as blob:
                    uploader.upload(digest, blob)
                self._report(Progress("Pushed", short_id(diff_id)))
            return LayerBlob(digest, diff_id, size, DOCKER_LAYER, self._reference.name)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def _compressed(self, diff_id: DiffId, path: str) -> tuple[Digest, int]:
        total, size = hashlib.sha256(), 0
        packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _GZIP)
        with open(path, "wb") as file:

            def write(data: bytes) -> int:
                total.update(data)
                file.write(data)
                return len(data)

            for piece in layer_tar(self._store.layers.directory(diff_id)):
                if self._cancelled():
                    raise Unavailable("the push was given up", reason="cancelled")
                size += write(packer.compress(piece))
            size += write(packer.flush())
        return Digest(f"sha256:{total.hexdigest()}"), size

    def _manifest(self, image: Image, blobs: Sequence[LayerBlob]) -> tuple[bytes, str]:
        for stored in self._store.origins.manifests_of(image.id):
            parsed = parse_manifest(stored.raw, stored.media_type)
            if isinstance(parsed, Manifest) and [d.digest for d in parsed.layers] == [b.digest for b in blobs]:
                return stored.raw, stored.media_type
        layers = [Descriptor(media_type=b.media_type, digest=b.digest, size=b.size) for b in blobs]
        config = Descriptor(media_type=DOCKER_CONFIG, digest=image.id, size=len(image.raw))
        return encode(Manifest(schema_version=2, media_type=DOCKER_MANIFEST, config=config, layers=layers)), DOCKER_MANIFEST


@dataclass(frozen=True, slots=True)
class _Memory:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, limit: int) -> bytes:
        return self.data[offset : offset + limit]


class _File:
    def __init__(self, path: str, size: int) -> None:
        self.size = size
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read_at(self, offset: int, limit: int) -> bytes:
        data = os.pread(self._fd, limit, offset)
        if not data:
            raise EngineError("the compressed layer became shorter while it was sent", reason="push-short")
        return data
