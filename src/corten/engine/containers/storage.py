"""Where the parts of containers are kept: image layers, writable layers, volumes, files."""

import os
from collections.abc import Callable, Sequence

from corten.engine.containers.mount_stubs import MARK
from corten.engine.containers.mounts import ContainerVolumes, held_images
from corten.engine.paths import Paths
from corten.engine.values.container import Container
from corten.ids import DiffId
from corten.store.images import Images
from corten.store.opened import Store


class ContainerStorage:
    def __init__(self, store: Store, volumes: ContainerVolumes, paths: Paths, *, caches: Callable[[str], str]) -> None:
        """`caches` gives the directory of a build's cache mount, made when it is missing."""
        self.database = store.db
        self.images: Images = store.images
        self.layers = store.layers
        self.snapshots = store.snapshots
        self.volumes = volumes
        self.paths = paths
        self.caches = caches

    def prepare(self, container: Container, layers: Sequence[DiffId]) -> None:
        """A writable layer on `layers`, the images that it mounts held, and its directory. Joins a surrounding transaction."""
        self.snapshots.prepare(container.id, layers, volatile=container.host.auto_remove)
        _make_mark(self.snapshots.upper(container.id))
        for key, mounted in held_images(container):
            self.snapshots.prepare(key, mounted)
        os.makedirs(self.paths.container(container.id), mode=0o710, exist_ok=True)

    def remove_layers(self, container: Container) -> None:
        """Its writable layer, and its hold on the images that it mounts. Joins a surrounding transaction."""
        self.snapshots.remove(container.id)
        for key, _ in held_images(container):
            self.snapshots.remove(key)


def _make_mark(upper: str) -> None:
    """Programs look for it to see that they are in a container."""
    os.close(os.open(os.path.join(upper, MARK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o755))
