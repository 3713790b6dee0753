"""A layer that was found damaged, fetched again from a registry that had it."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

from corten.engine.transfer.layers import LayerPull, RemoteLayer
from corten.engine.transfer.singleflight import InFlight
from corten.errors import EngineError, NotFound
from corten.ids import DiffId
from corten.oci.reference import parse_reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store
from corten.store.origins import LayerBlob
from corten.store.records.leases import Lease


class Refetch:
    """Belongs to the event loop; each fetch runs in a thread. Cancelling keeps what has arrived."""

    def __init__(self, store: Store, settings: RegistrySettings, folder: Path, in_flight: InFlight) -> None:
        """`folder` and `in_flight` are the pulls', so that a blob is fetched once."""
        self._store = store
        self._settings = settings
        self._folder = folder
        self._in_flight = in_flight

    async def bring(self, diff_id: DiffId, lease: Lease, credentials: Mapping[str, Credentials]) -> str:
        """The repository that the layer came from. The layer must be noted as damaged. Every known origin is tried, the latest first.

        Raises NotFound when no registry is known to have it, else what the last origin's attempt raised.
        """
        failure: EngineError = NotFound(
            "no registry is known to have this layer",
            reason="no-origin",
            hint="load the archive that its image came from, or build the image again: either replaces the layer",
        )
        for blob in self._store.origins.blobs_of(diff_id):
            if not blob.repository:
                continue
            try:
                await self._from(blob, lease, credentials)
            except EngineError as error:
                failure = error
            else:
                return blob.repository
        raise failure

    async def _from(self, blob: LayerBlob, lease: Lease, credentials: Mapping[str, Credentials]) -> None:
        gone = threading.Event()
        reference = parse_reference(blob.repository)
        layer = RemoteLayer(blob.digest, blob.diff_id, blob.size, blob.media_type, blob.repository)
        pull = LayerPull(self._store, self._folder, self._in_flight, lambda _: None, gone.is_set)
        with Session(reference.domain, self._settings, credentials.get(reference.domain)) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name)
            task = asyncio.ensure_future(asyncio.to_thread(pull.bring, repository, [layer], lease))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                gone.set()
                await asyncio.gather(task, return_exceptions=True)
                raise
