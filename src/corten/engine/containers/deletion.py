"""The end of a container: its row, writable layer, files and anonymous volumes.

The row and the snapshot's row go in one transaction, so a crash leaves either a whole container or files without one, which the next
start sweeps.
"""

import os
import shutil
from collections.abc import Collection

from corten.engine.containers.execs import Execs
from corten.engine.containers.mounts import owner_of
from corten.engine.containers.storage import ContainerStorage
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.waiters import WaitResult
from corten.store.trash import Trash


class ContainerDeletion:
    """Deletes containers that do not run. The caller holds the entry's lock."""

    def __init__(self, catalog: ContainerCatalog, storage: ContainerStorage, trash: Trash, execs: Execs, events: Events) -> None:
        self._catalog = catalog
        self._storage = storage
        self._trash = trash
        self._execs = execs
        self._events = events

    async def delete(self, entry: ContainerEntry, *, volumes: bool) -> None:
        """The container is gone when this returns; its disk space comes back a little later. `volumes`: anonymous ones go too."""
        container = entry.value
        with self._storage.database.transaction():
            self._catalog.remove(entry)
            self._execs.container_removed(container.id)
            self._storage.remove_layers(container)
        self._trash.throw(self._storage.paths.container(container.id))
        # Half a start may have left one: the daemon was killed in between.
        shutil.rmtree(self._storage.paths.bundle(container.id), ignore_errors=True)
        if any(point.type == "volume" for point in container.mounts):
            await self._storage.volumes.release(container.id, remove_anonymous=volumes, for_good=container.host.auto_remove)
        self._events.container(container, "destroy")
        entry.waiters.removed(WaitResult(container.state.exit_code))

    def sweep(self, known: Collection[str]) -> None:
        """Throw away writable layers and files of containers that are not `known`: creates and removals that a crash cut short."""
        for key in self._storage.snapshots.keys():  # noqa: SIM118 (no mapping)
            if (owner := owner_of(key)) and owner not in known:
                self._storage.snapshots.remove(key)
        folder = self._storage.paths.containers
        os.makedirs(folder, mode=0o710, exist_ok=True)
        for name in os.listdir(folder):
            if name not in known:
                self._trash.throw(os.path.join(folder, name))
        runs = os.path.join(self._storage.paths.exec_root, "containers")
        for name in os.listdir(runs) if os.path.isdir(runs) else ():
            if name not in known:
                shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
