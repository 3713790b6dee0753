"""The layers of a pull: every missing one downloaded by ranges, hashed and unpacked at the same time, resumable.

    registry ══ ranges ══▶ partial file ──▶ [sha256 of the blob] ──▶ unpack_layer ──▶ layers/

The partial file is what a killed pull goes on from; it goes when its layer is there.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from corten.engine.transfer.progress import Meter, Progress, Report
from corten.engine.transfer.sharing import InFlight
from corten.errors import Invalid, Unavailable
from corten.ids import DiffId, Digest, short_id
from corten.registry.client import Repository
from corten.registry.download import Fetcher, Wanted
from corten.registry.partial import Partial
from corten.store.files import free_bytes
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store
from corten.store.origins import LayerBlob
from corten.store.records.leases import Lease

WORKERS = 4
RESERVE = 256 << 20
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """A layer as a manifest names it; `repository` is its full name, for later pushes."""

    digest: Digest
    diff_id: DiffId
    size: int
    media_type: str
    repository: str

    @property
    def short(self) -> str:
        return short_id(self.digest)


class LayerPull:
    """Brings layers into the store. Blocking; one per pull."""

    def __init__(self, store: Store, folder: Path, in_flight: InFlight, report: Report, cancelled: Callable[[], bool]) -> None:
        """`folder` holds partial blobs and must be on the store's file system."""
        self._store = store
        self._folder = folder
        self._in_flight = in_flight
        self._report = report
        self._cancelled = cancelled

    def bring(self, repository: Repository, layers: Sequence[RemoteLayer], lease: Lease) -> None:
        """All `layers` are stored and held by `lease` when this returns.

        Raises Unavailable (network, disk full), Invalid (digest mismatch, bad archive), NotFound.
        """
        missing = [layer for layer in layers if self._store.layers.hold(layer.diff_id, lease) is None]
        there = {layer.digest for layer in layers} - {layer.digest for layer in missing}
        for layer in layers:
            self._report(Progress("Already exists" if layer.digest in there else "Pulling fs layer", layer.short))
        missing = list({layer.digest: layer for layer in missing}.values())
        self._check_room(missing)
        while missing:
            if self._cancelled():
                raise Unavailable("the pull was given up", reason="cancelled")
            mine = self._in_flight.claim(missing)
            if mine:
                try:
                    self._fetch(repository, mine, lease)
                finally:
                    self._in_flight.release(mine)
            else:
                self._in_flight.wait_for_change(0.5)
            missing = [layer for layer in missing if self._store.layers.hold(layer.diff_id, lease) is None]

    def _check_room(self, missing: Sequence[RemoteLayer]) -> None:
        """Before the first byte: a blob and the files in it take at least twice its size until the blob is dropped."""
        need = sum(2 * layer.size for layer in missing) + RESERVE
        have = free_bytes(self._store.root.path)
        if missing and need > have:
            raise Unavailable(
                f"no space left on device: the missing layers need at least {need / 1e9:.1f} GB, {have / 1e9:.1f} GB are free",
                reason="disk-full",
                hint="see `system df` for what can be reclaimed, then `image prune` or `system prune`",
            )

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
        return Wanted(partial, Meter(self._report, "Downloading", layer.short, layer.size, start=partial.present()).add)

    def _unpack(self, layer: RemoteLayer, partial: Partial, lease: Lease) -> None:
        meter = Meter(self._report, "Extracting", layer.short, layer.size)
        unpack_layer(self._store.layers, self._verified(layer, partial, meter), lease=lease, expected=layer.diff_id)
        partial.discard()
        blob = LayerBlob(layer.digest, layer.diff_id, layer.size, layer.media_type, layer.repository)
        self._store.origins.add_blob(blob)
        self._report(Progress("Pull complete", layer.short))

    def _verified(self, layer: RemoteLayer, partial: Partial, meter: Meter) -> Iterator[bytes]:
        """The blob's bytes as they arrive; raises before the end unless they are what the digest says."""
        total, offset = hashlib.sha256(), 0
        while piece := partial.read_at(offset, _PIECE, cancelled=self._cancelled):
            total.update(piece)
            offset += len(piece)
            if offset == layer.size:
                self._report(Progress("Download complete", layer.short))
                if f"sha256:{total.hexdigest()}" != layer.digest:
                    partial.discard()
                    raise Invalid(f"filesystem layer verification failed for digest {layer.digest}", reason="wrong-digest")
            meter.add(len(piece))
            yield piece
