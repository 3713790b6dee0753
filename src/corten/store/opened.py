"""The whole store, opened: what `daemon.py` and tests compose their objects from."""

from collections.abc import Sequence
from dataclasses import dataclass

from corten.store import images, layers, origins, snapshots
from corten.store.db import Database, Migration
from corten.store.images import Images
from corten.store.layers import Layers, Reclaim
from corten.store.origins import Origins
from corten.store.records import uploads
from corten.store.records.uploads import Uploads
from corten.store.recovery import Durability, Recovery
from corten.store.root import StoreRoot, make_root
from corten.store.snapshots import Snapshots
from corten.store.trash import Background, Trash
from corten.store.trashbin import bin as trashbin
from corten.store.trashbin.bin import Bin


@dataclass(frozen=True, slots=True)
class Store:
    root: StoreRoot
    db: Database
    background: Background
    layers: Layers
    durability: Durability
    snapshots: Snapshots
    images: Images
    origins: Origins
    uploads: Uploads
    bin: Bin

    def close(self) -> None:
        self.background.close()
        self.db.close()


def open_store(
    path: str,
    migrations: Sequence[Migration] = (),
    *,
    trash_keep: int = 0,
    largest_layer: int | None = None,
    reclaim: Reclaim | None = None,
) -> Store:
    """Opens or makes the store under `path` (absolute), puts right what a crash left, and adds other nouns' tables by `migrations`.

    `trash_keep`: for how long (ns) removed images and volumes can be had back; 0: not at all.
    `largest_layer`: bytes that a layer may have unpacked; None: no limit but the disk. `reclaim` is asked for space when it is full.
    One process at a time: the caller holds the data root's lock. Blocks for as long as broken layers take to check (none, usually).
    """
    root = make_root(path)
    background = Background()
    trash = Trash(root.trash, background)
    own = (*layers.MIGRATIONS, *snapshots.MIGRATIONS, *images.MIGRATIONS, *origins.MIGRATIONS, *uploads.MIGRATIONS, *trashbin.MIGRATIONS)
    db = Database(root.database, [*own, *migrations])
    layer_store = Layers(root.layers, root.work, db, trash, largest=largest_layer, reclaim=reclaim)
    snapshot_store = Snapshots(root.snapshots, db, layer_store, trash)
    durability, bin = Durability(root.layers, db, background), Bin(root.bin, db, trash, keep=trash_keep)
    image_store, known, begun = Images(db), Origins(db), Uploads(db)
    store = Store(root, db, background, layer_store, durability, snapshot_store, image_store, known, begun, bin)
    db.reserve.renew()
    snapshot_store.recover()
    Recovery(root, db, trash, layer_store, store.images).run(store.durability)
    return store
