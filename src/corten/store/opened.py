"""The whole store, opened: what `daemon.py` and tests compose their objects from."""

from collections.abc import Sequence
from dataclasses import dataclass

from corten.store import images, layers, origins, snapshots
from corten.store.db import Database, Migration
from corten.store.images import Images
from corten.store.layers import Layers
from corten.store.origins import Origins
from corten.store.recovery import Durability, Recovery
from corten.store.root import StoreRoot, make_root
from corten.store.snapshots import Snapshots
from corten.store.trash import Background, Trash


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

    def close(self) -> None:
        self.background.close()
        self.db.close()


def open_store(path: str, migrations: Sequence[Migration] = ()) -> Store:
    """Opens or makes the store under `path` (absolute), puts right what a crash left, and adds other nouns' tables by `migrations`.

    One process at a time: the caller holds the data root's lock. Blocks for as long as broken layers take to check (none, usually).
    """
    root = make_root(path)
    background = Background()
    trash = Trash(root.trash, background)
    db = Database(root.database, [*layers.MIGRATIONS, *snapshots.MIGRATIONS, *images.MIGRATIONS, *origins.MIGRATIONS, *migrations])
    layer_store = Layers(root.layers, root.work, db, trash)
    snapshot_store = Snapshots(root.snapshots, db, layer_store, trash)
    store = Store(root, db, background, layer_store, Durability(root.layers, db, background), snapshot_store, Images(db), Origins(db))
    snapshot_store.recover()
    Recovery(root, db, trash, layer_store, store.images).run(store.durability)
    return store
