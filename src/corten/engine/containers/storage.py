"""Where the parts of containers are kept."""

from collections.abc import Callable
from dataclasses import dataclass

from corten.engine.containers.mounts import Volumes
from corten.engine.paths import Paths
from corten.store.db import Database
from corten.store.images import Images
from corten.store.layers import Layers
from corten.store.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Shelves:
    database: Database
    images: Images
    layers: Layers
    snapshots: Snapshots
    volumes: Volumes
    paths: Paths
    caches: Callable[[str], str] = lambda cache_id: ""  # the directory of a build's cache mount, made when missing
