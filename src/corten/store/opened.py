"""The whole store, opened: what `daemon.py` and tests compose their objects from."""

from collections.abc import Sequence
from dataclasses import dataclass

from corten.store import images, layers, snapshots
from corten.store.db import Database, Migration
from corten.store.images import Images
from corten.store.layers import Layers
from corten.store.root import StoreRoot, open_root
from corten.store.snapshots import Snapshots
from corten.store.trash import Trash


@dataclass(frozen=True, slots=True)
class Store:
    root: StoreRoot
    db: Database
    trash: Trash
    layers: Layers
    snapshots: Snapshots
    images: Images

    def close(self) -> None:
        self.trash.close()
        self.db.close()


def open_store(path: str, migrations: Sequence[Migration] = ()) -> Store:
    """Opens or makes the store under `path` (absolute), puts right what a crash left, and adds other nouns' tables by `migrations`.

    One process at a time: the caller holds the data root's lock. Blocks for as long as broken layers take to check (none, usually).
    """
    root, trash = open_root(path)
    db = Database(root.database, [*layers.MIGRATIONS, *snapshots.MIGRATIONS, *images.MIGRATIONS, *migrations])
    layer_store = Layers(root.layers, db, trash)
    snapshot_store = Snapshots(root.snapshots, db, layer_store, trash)
    snapshot_store.recover()
    return Store(root, db, trash, layer_store, snapshot_store, Images(db))
