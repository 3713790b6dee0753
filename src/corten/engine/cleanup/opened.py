"""What keeps and what clears away, made in two steps: `make_marks` before the volumes, `make_cleanup` when every noun is there."""

import os
from dataclasses import dataclass

from corten.build.caches import CacheMounts
from corten.engine.build.builds import Builds
from corten.engine.cleanup import models, protection
from corten.engine.cleanup.models import Models
from corten.engine.cleanup.protection import Protection
from corten.engine.cleanup.prune.caches import CachePrune
from corten.engine.cleanup.prune.containers import ContainerPrune
from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.rehearsed import Rehearsals
from corten.engine.cleanup.prune.service import Prunes
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.cleanup.trash import TrashCan
from corten.engine.cleanup.volumes import VolumeRemoval
from corten.engine.containers.catalog import Catalog
from corten.engine.containers.containers import Containers
from corten.engine.containers.upkeep import Upkeep
from corten.engine.events import Events
from corten.engine.images.removal import Removal
from corten.engine.networks.networks import Networks
from corten.engine.volumes import Volumes
from corten.store.opened import Store
from corten.store.trashbin.images import ImageBin
from corten.store.trashbin.volumes import VolumeBin
from corten.store.volumes import Volumes as VolumeStore

MIGRATIONS = (*protection.MIGRATIONS, *models.MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of volumes besides their records, and where removed ones are."""

    protection: Protection
    models: Models
    bin: VolumeBin
    removal: VolumeRemoval


@dataclass(frozen=True, slots=True)
class Nouns:
    """What can be pruned."""

    catalog: Catalog
    containers: Containers
    upkeep: Upkeep
    volumes: Volumes
    networks: Networks
    images: Removal
    builds: Builds
    caches: CacheMounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    protection: Protection
    models: Models
    trash: TrashCan
    prunes: Prunes
    rehearsals: Rehearsals


def make_marks(store: Store, volumes: VolumeStore) -> Marks:
    """Puts right what a crash left between volumes and trash; comes before anybody uses the volumes."""
    known, seen = Protection(store.db), Models(store.db)
    bin = VolumeBin(store.bin, os.path.join(store.root.path, "volumes"))
    bin.recover()
    return Marks(known, seen, bin, VolumeRemoval(store, volumes, bin, known, seen))


def make_cleanup(store: Store, marks: Marks, nouns: Nouns, events: Events) -> Cleanup:
    prunes = Prunes(
        ContainerPrune(nouns.catalog, nouns.containers, nouns.upkeep, events),
        NetworkPrune(nouns.networks, events),
        VolumePrune(nouns.volumes, marks.protection, marks.models, events),
        nouns.images,
        CachePrune(store, nouns.builds.cache, nouns.caches, events),
    )
    images = ImageBin(store.bin, store.images, store.layers, store.origins)
    return Cleanup(
        protection=marks.protection,
        models=marks.models,
        trash=TrashCan(store, marks.bin, images, marks.protection, events),
        prunes=prunes,
        rehearsals=Rehearsals(store.db, prunes),
    )
