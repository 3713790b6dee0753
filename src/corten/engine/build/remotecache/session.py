"""The remote caches of one build: imported before its steps, exported after them."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from corten.build.events import Emit
from corten.build.remotecache import CacheRecord, RemoteCache
from corten.engine.build.remotecache.exporters import LocalCacheExporter, export_to_registry
from corten.engine.build.remotecache.importers import (
    CombinedCaches,
    ImageHistory,
    ImportedCache,
    LocalCacheImporter,
    layer_puller,
    read_registry,
)
from corten.engine.build.remotecache.options import CacheExport, CacheImport
from corten.engine.build.vertices import InternalVertices
from corten.engine.transfer.cancellation import interruptible
from corten.engine.transfer.outgoing import LayerPush
from corten.engine.transfer.pull import Pulls
from corten.errors import EngineError
from corten.oci.reference import Reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store

Opening = Callable[[], RemoteCache]


class RemoteCaches:
    """Belongs to the event loop."""

    def __init__(self, store: Store, pulls: Pulls, settings: RegistrySettings) -> None:
        self._store = store
        self._pulls = pulls
        self._settings = settings

    def session(self, credentials: Mapping[str, Credentials], emit: Emit) -> "RemoteCacheSession":
        return RemoteCacheSession(self._store, self._pulls, self._settings, credentials, emit)


class RemoteCacheSession:
    """For one build; closing it ends what still runs in threads."""

    def __init__(self, store: Store, pulls: Pulls, settings: RegistrySettings, credentials: Mapping[str, Credentials], emit: Emit) -> None:
        self._store = store
        self._pulls = pulls
        self._settings = settings
        self._credentials = credentials
        self._emit = emit
        self._vertices = InternalVertices(emit, "sharing")
        self._gone = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> "RemoteCacheSession":
        self._stack.callback(self._gone.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cancel_import(self) -> None:
        """Ends downloads, which are then missed."""
        self._gone.set()

    async def opened(self, origins: Sequence[CacheImport]) -> RemoteCache | None:
        """What `--cache-from` names, as far as it can be read; what cannot is the error of a vertex."""
        found = [source for origin in origins for source in await self._opened(origin)]
        return CombinedCaches(found) if found else None

    async def _opened(self, origin: CacheImport) -> Sequence[RemoteCache]:
        if origin.kind == "local":
            return await self._told(f"importing cache manifest from local:{origin.folder}", lambda: self._folder(origin))
        reference = origin.reference
        assert reference is not None, "origins that are no folders have a reference"
        image = self._store.images.find(str(reference)) if origin.may_be_here else None
        if image is not None:
            return [ImageHistory(self._store, image)]
        if origin.kind == "here":
            return []
        return await self._told(f"importing cache manifest from {reference.familiar}", lambda: self._remote(reference))

    async def _told(self, name: str, work: Opening) -> Sequence[RemoteCache]:
        try:
            with self._vertices.step(name, internal=False):
                return [await interruptible(work, self._gone)]
        except EngineError:
            return []

    def _folder(self, origin: CacheImport) -> RemoteCache:
        folder = LocalCacheImporter(origin.folder, tag=origin.tag, digest=origin.digest)
        return ImportedCache(self._store, folder.read(), self._emit, lambda layer, lease: folder.bring(self._store, layer, lease))

    def _remote(self, reference: Reference) -> RemoteCache:
        session = self._stack.enter_context(self._session(reference, push=False))
        repository = Repository(session, reference.path, familiar=reference.familiar_name)
        cached = read_registry(repository, str(reference.digest or reference.tag), reference.name)
        pull = self._pulls.layers(lambda _: None, self._gone.is_set)
        return ImportedCache(self._store, cached, self._emit, layer_puller(pull, repository))

    async def write(self, targets: Sequence[CacheExport], image: Sequence[CacheRecord], everything: Sequence[CacheRecord]) -> None:
        """Raises what a target refuses, unless that is to be forgiven."""
        for target in targets:
            if target.kind == "inline":
                continue
            records = everything if target.whole else image
            try:
                with self._vertices.step(f"exporting cache to {target.shown}", internal=False):
                    await interruptible(lambda target=target, records=records: self._write(target, records), self._gone)  # type: ignore[misc]
            except EngineError:
                if not target.forgiving:
                    raise

    def _write(self, target: CacheExport, records: Sequence[CacheRecord]) -> None:
        reference = target.reference
        if reference is None:
            LocalCacheExporter(self._store, target.folder, self._gone, target.packing).write(target.tag, records, target.form)
            return
        with self._session(reference, push=True) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name, push=True)
            push = LayerPush(self._store, repository, reference, lambda _: None, self._gone.is_set, target.packing)
            export_to_registry(push, str(reference.tag), records, target.form)

    @contextmanager
    def _session(self, reference: Reference, *, push: bool) -> Iterator[Session]:
        with Session(reference.domain, self._settings, self._credentials.get(reference.domain), push=push) as session:
            yield session
