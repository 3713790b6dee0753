"""What keeps and what clears away, made when every noun is there (`marks` comes before the volumes)."""

from dataclasses import dataclass

from corten.build.caches import CacheMounts
from corten.engine.build.builds import Builds
from corten.engine.cleanup.gc.candidates import Gathering
from corten.engine.cleanup.gc.collection import Gc, Takers, disk_of
from corten.engine.cleanup.last_uses import LastUses
from corten.engine.cleanup.marks import Marks
from corten.engine.cleanup.prune.caches import CachePrune
from corten.engine.cleanup.prune.containers import ContainerPrune
from corten.engine.cleanup.prune.dry_run import Rehearsals
from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.service import Prunes
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.cleanup.reclaim import Room
from corten.engine.cleanup.trash import TrashCan
from corten.engine.containers.inspection import Containers
from corten.engine.containers.upkeep import Upkeep
from corten.engine.events import Events
from corten.engine.images.removal import Removal
from corten.engine.models import Models, Recognition
from corten.engine.networks.networks import Networks
from corten.engine.protection import Protection
from corten.engine.records.containers import Catalog
from corten.engine.usage import DiskFigures
from corten.engine.volumes import Volumes
from corten.gcmarks import GcMarks
from corten.store.opened import Store
from corten.store.records.uses import Uses
from corten.store.trashbin.images import ImageBin


@dataclass(frozen=True, slots=True)
class Nouns:
    """What can be pruned."""

    catalog: Catalog
    containers: Containers
    upkeep: Upkeep
    volumes: Volumes
    figures: DiskFigures
    networks: Networks
    images: Removal
    builds: Builds
    caches: CacheMounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    protection: Protection
    models: Models
    recognition: Recognition
    trash: TrashCan
    uses: LastUses
    written: Uses
    gc: Gc
    room: Room
    prunes: Prunes
    rehearsals: Rehearsals


def make_cleanup(store: Store, marks: Marks, nouns: Nouns, events: Events, *, gc: GcMarks) -> Cleanup:
    prunes = Prunes(
        ContainerPrune(nouns.catalog, nouns.containers, nouns.upkeep, events),
        NetworkPrune(nouns.networks, events),
        VolumePrune(nouns.volumes, nouns.figures.held, marks.protection, marks.models, events),
        nouns.images,
        CachePrune(store, nouns.builds.cache, nouns.caches, events),
    )
    images = ImageBin(store.bin, store.images, store.layers, store.origins)
    last_uses = LastUses(marks.uses, store.images, nouns.catalog)
    events.follow(last_uses.heard)
    trash = TrashCan(store, marks, images, events)
    gathering = Gathering(store, trash, last_uses, nouns.catalog, nouns.builds.cache, nouns.caches)
    takers = Takers(trash, prunes.caches, nouns.images, events)
    return Cleanup(
        protection=marks.protection,
        models=marks.models,
        recognition=Recognition(marks.models, nouns.volumes.mountpoint),
        trash=trash,
        uses=last_uses,
        written=marks.uses,
        gc=Gc(gathering, takers, gc, disk_of(store.root.path)),
        room=Room(store, trash),
        prunes=prunes,
        rehearsals=Rehearsals(store.db, prunes),
    )
