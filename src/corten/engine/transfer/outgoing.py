"""The layers of a push: for each the cheapest way that works.

The registry has it, it lies in another repository of the same registry (mounted from there), or its tar is rebuilt, compressed and
uploaded. Several layers go at once.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from corten.engine.progress import Meter, Progress, Report
from corten.engine.transfer.compression import LayerCompression
from corten.errors import EngineError, Unavailable
from corten.ids import DiffId, Digest, short_id
from corten.oci.manifest import DOCKER_LAYER, Manifest, parse_manifest
from corten.oci.reference import Reference
from corten.registry.client import Repository
from corten.registry.upload import Uploader
from corten.store.images import Image
from corten.store.layertar.rebuild import layer_tar
from corten.store.opened import Store
from corten.store.origins import LayerBlob

WORKERS: Final = 3
_USUAL: Final = LayerCompression()


class LayerPush:
    """Sends layers to one repository. Blocking; one per push."""

    def __init__(
        self,
        store: Store,
        repository: Repository,
        reference: Reference,
        report: Report,
        cancelled: Callable[[], bool],
        packing: LayerCompression = _USUAL,
    ) -> None:
        self._store = store
        self._packing = packing
        self._repository = repository
        self._reference = reference
        self._report = report
        self._cancelled = cancelled

    def send(self, image: Image) -> list[LayerBlob]:
        """The image's blobs, bottom first, all of which the repository has when this returns (foreign ones stay where they are).

        Raises what the registry refuses, Unavailable when cancelled.
        """
        layers = list(dict.fromkeys(image.layers))
        for diff_id in reversed(layers):
            self._report(Progress(short_id(diff_id), "Preparing"))
        foreign, claimed = self._foreign(image), self._claimed(image)
        with self._store.layers.lease() as lease, ThreadPoolExecutor(WORKERS, thread_name_prefix="corten-push") as workers:
            for diff_id in layers:
                self._store.layers.hold(diff_id, lease)
            jobs = {diff_id: workers.submit(self._layer, diff_id, foreign, claimed.get(diff_id, ())) for diff_id in layers}
            try:
                sent = {diff_id: job.result() for diff_id, job in jobs.items()}
            finally:
                for job in jobs.values():
                    job.cancel()
        return [sent[diff_id] for diff_id in image.layers]

    def uploader(self) -> Uploader:
        return Uploader(self._repository, self._cancelled)

    def _foreign(self, image: Image) -> frozenset[str]:
        """Blobs that a manifest of the image says to lie elsewhere; they are not to be distributed."""
        parsed = (parse_manifest(m.raw, m.media_type) for m in self._store.origins.manifests_of(image.id))
        return frozenset(d.digest for m in parsed if isinstance(m, Manifest) for d in m.layers if d.urls)

    def _claimed(self, image: Image) -> dict[DiffId, list[LayerBlob]]:
        """What the image's own manifests call its layers, where the layer was here already and the blob never was.

        Nobody has checked that, so it serves this image alone, whose manifest then is the one that says so.
        """
        found: dict[DiffId, list[LayerBlob]] = {}
        names = [reference.name for reference in image.digests]
        for stored in self._store.origins.manifests_of(image.id):
            parsed = parse_manifest(stored.raw, stored.media_type)
            if not isinstance(parsed, Manifest) or len(parsed.layers) != len(image.layers):
                continue
            for descriptor, diff_id in zip(parsed.layers, image.layers, strict=True):
                blobs = [LayerBlob(Digest(descriptor.digest), diff_id, descriptor.size, descriptor.media_type, name) for name in names]
                found.setdefault(diff_id, []).extend(blobs)
        return found

    def _layer(self, diff_id: DiffId, foreign: frozenset[str], claimed: Sequence[LayerBlob]) -> LayerBlob:
        if self._cancelled():
            raise _given_up()
        checked = self._store.origins.blobs_of(diff_id)
        known = [blob for blob in (*claimed, *checked) if self._packing.does(blob.media_type)]
        for blob in known:
            if blob.digest in foreign:
                self._report(Progress(short_id(diff_id), "Skipped foreign layer"))
                return blob
        found = self._there(diff_id, known) or self._mounted(diff_id, known)
        if found is not None and all(blob.digest != found.digest for blob in checked):
            return found
        here = replace(found or self._sent(diff_id), repository=self._reference.name)
        if self._packing == _USUAL:  # others are for who asked for them
            self._store.origins.add_blob(here)
        return here

    def _there(self, diff_id: DiffId, known: Sequence[LayerBlob]) -> LayerBlob | None:
        for blob in {b.digest: b for b in known}.values():
            if self.uploader().has(blob.digest):
                self._report(Progress(short_id(diff_id), "Layer already exists"))
                return blob
        return None

    def _mounted(self, diff_id: DiffId, known: Sequence[LayerBlob]) -> LayerBlob | None:
        domain = f"{self._reference.domain}/"
        for blob in known:
            if blob.repository.startswith(domain) and blob.repository != self._reference.name:
                source = blob.repository.removeprefix(domain)
                if self.uploader().mount(blob.digest, source):
                    self._report(Progress(short_id(diff_id), f"Mounted from {source}"))
                    return blob
        return None

    def _sent(self, diff_id: DiffId) -> LayerBlob:
        with self._packed(diff_id) as (path, digest, size):
            uploader = self.uploader()
            if uploader.has(digest):
                self._report(Progress(short_id(diff_id), "Layer already exists"))
            else:
                uploader.progress = Meter(self._report, "Pushing", short_id(diff_id), size).add
                with _File(path, size) as blob, self._store.uploads.claimed(self._reference.name, digest) as bookmark:
                    uploader.upload(digest, blob, bookmark)
                self._report(Progress(short_id(diff_id), "Pushed"))
            media_type = DOCKER_LAYER if self._packing.kind == "gzip" else self._packing.media_type
            return LayerBlob(digest, diff_id, size, media_type, self._reference.name)

    @contextmanager
    def _packed(self, diff_id: DiffId) -> Iterator[tuple[str, Digest, int]]:
        """The layer as a packed file, gone with the block: path, digest, size."""
        path = os.path.join(self._store.root.work, f"push-{threading.get_ident()}-{short_id(diff_id)}")
        total, size = hashlib.sha256(), 0
        try:
            with open(path, "wb") as file:
                for piece in self._packing.packed(self._pieces(diff_id)):
                    total.update(piece)
                    size += file.write(piece)
            yield path, Digest(f"sha256:{total.hexdigest()}"), size
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _pieces(self, diff_id: DiffId) -> Iterator[bytes]:
        for piece in layer_tar(self._store.layers.directory(diff_id)):
            if self._cancelled():
                raise _given_up()
            yield piece


@dataclass(frozen=True, slots=True)
class InMemory:
    """A small blob, for the uploader."""

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


def _given_up() -> Unavailable:
    return Unavailable("the push was given up", reason="cancelled")
