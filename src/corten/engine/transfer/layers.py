"""The layers of a pull: every missing one downloaded by ranges, hashed and unpacked at the same time, resumable.

    registry ══ ranges ══▶ partial file ──▶ [sha256 of the blob] ──▶ unpack_layer ──▶ layers/

The partial file is what a killed pull goes on from; it goes when its layer is there.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corten.engine.progress import Meter, Progress, Report
from corten.engine.transfer.partial_pulls import keeper_of
from corten.engine.transfer.singleflight import InFlight
from corten.errors import Invalid, Unavailable
from corten.ids import DiffId, Digest, short_id
from corten.oci.manifest import Descriptor
from corten.registry.client import Repository
from corten.registry.download import Fetcher, Wanted
from corten.registry.partial import Partial, Partials
from corten.store.files import disk_error
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store
from corten.store.origins import LayerBlob
from corten.store.records.leases import Lease
from corten.units import human_size

WORKERS: Final = min(8, max(2, os.cpu_count() or 1))
RESERVE: Final = 256 << 20
_PIECE: Final = 1 << 18
_FOREIGN: Final = ("foreign", "nondistributable")


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """A layer as a manifest names it; `repository` is its full name, for later pushes. `urls`: where else a foreign one lies."""

    digest: Digest
    diff_id: DiffId
    size: int
    media_type: str
    repository: str
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, descriptor: Descriptor, diff_id: DiffId, repository: str) -> "RemoteLayer":
        foreign = any(word in descriptor.media_type for word in _FOREIGN)
        urls = tuple(descriptor.urls or ()) if foreign else ()
        return cls(Digest(descriptor.digest), diff_id, descriptor.size, descriptor.media_type, repository, urls)

    @property
    def short(self) -> str:
        return short_id(self.digest)


class LayerPull:
    """Brings layers into the store. Blocking; one per pull."""

    def __init__(
        self, store: Store, folder: Path, in_flight: InFlight, report: Report, cancelled: Callable[[], bool], reclaimable: int = 0
    ) -> None:
        """`folder` holds partial blobs and must be on the store's file system. `reclaimable`: bytes that pruning would free."""
        self._store = store
        self._folder = folder
        self._partials = Partials(folder)
        self._in_flight = in_flight
        self._report = report
        self._cancelled = cancelled
        self._reclaimable = reclaimable

    def bring(self, repository: Repository, layers: Sequence[RemoteLayer], lease: Lease, *, image_is_known: bool = False) -> None:
        """All `layers` are stored and held by `lease` when this returns. For a known image nothing is told unless something is missing.

        Raises Unavailable (network, disk full), Invalid (digest mismatch, bad archive), NotFound.
        """
        missing = [layer for layer in layers if self._store.layers.hold(layer.diff_id, lease) is None]
        there = {layer.digest for layer in layers} - {layer.digest for layer in missing}
        for digest in there:
            self._partials.forget(digest)  # of a pull that was killed between the layer's appearance and this
        if image_is_known and not missing:
            return
        for layer in layers:
            self._report(Progress(layer.short, "Already exists" if layer.digest in there else "Pulling fs layer"))
        missing = list({layer.digest: layer for layer in missing}.values())
        self._check_room([(layer.size, self._partials.bytes_of(layer.digest)) for layer in missing])
        while missing:
            if self._cancelled():
                raise _given_up()
            mine = self._in_flight.claim(missing)
            if mine:
                try:
                    self._fetch_with_room(repository, mine, lease)
                finally:
                    self._in_flight.release(mine)
            else:
                self._in_flight.wait_for_change(0.5)
            missing = [layer for layer in missing if self._store.layers.hold(layer.diff_id, lease) is None]

    def _fetch_with_room(self, repository: Repository, layers: Sequence[RemoteLayer], lease: Lease) -> None:
        """`_fetch_again`; on a full disk nothing happens if room could be made: what is missing then is fetched by the next call."""
        try:
            self._fetch_again(repository, layers, lease)
        except (OSError, Unavailable) as error:
            told = disk_error(error, "keeping what arrives of a layer") if isinstance(error, OSError) else error
            if told.reason != "disk-full" or not self._store.layers.reclaim(2 * sum(layer.size for layer in layers)):
                raise told from error

    def _check_room(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Before the first byte, from each layer's size and what lies here of it.

        A blob and the files in it take at least twice its size until the blob is dropped, and some inodes. It may be more: that is
        noticed while unpacking.
        """
        if not sizes:
            return
        disk = os.statvfs(self._store.root.path)
        need, have = sum(2 * size - here for size, here in sizes) + RESERVE, disk.f_bavail * disk.f_frsize
        if need > have and self._store.layers.reclaim(need - have):
            disk = os.statvfs(self._store.root.path)
            have = disk.f_bavail * disk.f_frsize
        inodes = sum(16 + size // (1 << 20) for size, _ in sizes)
        if need > have:
            raise self._no_room(f"the missing layers need at least {human_size(need)}, {human_size(have)} are free")
        if disk.f_files and inodes > disk.f_favail:
            raise self._no_room(f"the missing layers need at least {inodes} inodes, {disk.f_favail} are free")

    def _no_room(self, text: str) -> Unavailable:
        return Unavailable(
            f"no space left on device: {text}, {human_size(self._reclaimable)} can be reclaimed from images that no container uses",
            reason="disk-full",
            hint="`docker image prune -a` or `docker system prune` gives it back; `docker system df` shows what takes the disk",
        )

    def _fetch_again(self, repository: Repository, layers: Sequence[RemoteLayer], lease: Lease) -> None:
        """`_fetch`; once more from the start where what lay here was wrong: after a power failure a map can claim what is not there."""
        resumed = [layer.digest for layer in layers if self._partials.bytes_of(layer.digest)]
        try:
            self._fetch(repository, layers, lease)
        except Invalid:
            if not resumed:
                raise
            for digest in resumed:
                self._partials.forget(digest)
            self._fetch(repository, [layer for layer in layers if self._store.layers.hold(layer.diff_id, lease) is None], lease)

    def _fetch(self, repository: Repository, layers: Sequence[RemoteLayer], lease: Lease) -> None:
        partials = [Partial(self._folder, layer.digest, layer.size) for layer in layers]
        wanted = [self._wanted(layer, partial) for layer, partial in zip(layers, partials, strict=True)]
        fetcher = Fetcher(repository, wanted, cancelled=self._cancelled)
        fetcher.start()
        try:
            with ThreadPoolExecutor(min(WORKERS, len(layers)), thread_name_prefix="corten-unpack") as workers:
                jobs = [workers.submit(self._unpack, layer, part, lease) for layer, part in zip(layers, partials, strict=True)]
                finished, _ = wait(jobs, return_when=FIRST_EXCEPTION)
                failed = next((e for job in finished if (e := job.exception())), None)
                if failed:
                    fetcher.stop()
                    for partial in partials:
                        partial.fail(failed)
            fetcher.stop()
            if failed:
                raise failed
            fetcher.wait()
        finally:
            for partial in partials:
                partial.close()

    def _wanted(self, layer: RemoteLayer, partial: Partial) -> Wanted:
        meter = Meter(self._report, "Downloading", layer.short, layer.size, start=partial.present())
        return Wanted(partial, meter.add, urls=layer.urls)

    def _unpack(self, layer: RemoteLayer, partial: Partial, lease: Lease) -> None:
        meter = Meter(self._report, "Extracting", layer.short, layer.size)
        try:
            unpack_layer(self._store.layers, self._verified(layer, partial, meter), lease=lease, expected=layer.diff_id)
        except Invalid:
            partial.discard()
            raise
        # Held by no image yet: should the pull end here, or the process, the next one finds it.
        self._store.layers.keeps.keep(keeper_of(layer.diff_id), layer.diff_id)
        partial.discard()
        blob = LayerBlob(layer.digest, layer.diff_id, layer.size, layer.media_type, layer.repository)
        self._store.origins.add_blob(blob)
        self._report(Progress(layer.short, "Pull complete"))

    def _verified(self, layer: RemoteLayer, partial: Partial, meter: Meter) -> Iterator[bytes]:
        """The blob's bytes as they arrive; raises before the end unless they are what the digest says."""
        total, offset = hashlib.sha256(), 0
        while piece := partial.read_at(offset, _PIECE, cancelled=self._cancelled):
            if self._cancelled():
                raise _given_up()
            total.update(piece)
            offset += len(piece)
            if offset == layer.size:
                self._report(Progress(layer.short, "Verifying Checksum"))
                if f"sha256:{total.hexdigest()}" != layer.digest:
                    raise Invalid(f"filesystem layer verification failed for digest {layer.digest}", reason="wrong-digest")
                self._report(Progress(layer.short, "Download complete"))
            meter.add(len(piece))
            yield piece


def _given_up() -> Unavailable:
    return Unavailable("the pull was given up", reason="cancelled")
