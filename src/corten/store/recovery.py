"""How layers become durable, and what is put right in the store before anybody uses it, whatever ended the last process.

`kill -9` leaves unfinished work, trash, and directories whose row was not written yet. A power failure
can also leave layers whose row names another boot: those were not known to be on the disk, and are read and checked.
"""

import logging
import os
from collections.abc import Sequence
from typing import Final

from corten.errors import EngineError
from corten.ids import DiffId
from corten.kernel.libc import check, libc
from corten.oci.digest import hex_of
from corten.store.db import Database
from corten.store.files import boot_id, release_memory
from corten.store.images import Image, Images
from corten.store.layers import SETTLED, Layers
from corten.store.layertar.rebuild import verify_layer
from corten.store.records.damage import REPLACED
from corten.store.root import StoreRoot
from corten.store.trash import Background, Trash

logger = logging.getLogger("corten.store")
_NOT_A_LAYER: Final = "empty"


class Durability:
    """Makes committed layers survive a power failure, behind the answer; after one, tells which ones did not."""

    def __init__(self, root: str, db: Database, background: Background) -> None:
        self._root = root
        self._db = db
        self._background = background
        self._boot = boot_id()

    def settle_later(self) -> None:
        """Ask for every layer that is committed now to be flushed to the disk."""
        self._background.submit(self.settle)
        self._background.submit(release_memory)

    def settle(self) -> None:
        """Blocks for as long as the disk takes to write what is dirty on the store's file system."""
        rows = self._db.query("SELECT diff_id FROM layers WHERE boot = ?", (self._boot,))
        if not rows:
            return
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            check(libc.syncfs(fd), "syncfs", self._root)
        finally:
            os.close(fd)
        with self._db.transaction() as tx:
            tx.executemany("UPDATE layers SET boot = ? WHERE diff_id = ?", [(SETTLED, row[0]) for row in rows])
        self._db.sync_now()

    def unsettled(self) -> list[DiffId]:
        """Layers that an earlier boot committed and did not flush: to be checked before use."""
        rows = self._db.query("SELECT diff_id FROM layers WHERE boot NOT IN (?, ?)", (SETTLED, self._boot))
        return [DiffId(row[0]) for row in rows]


class Recovery:
    """Runs once, before the store is used."""

    def __init__(self, root: StoreRoot, db: Database, trash: Trash, layers: Layers, images: Images) -> None:
        self._root = root
        self._db = db
        self._trash = trash
        self._layers = layers
        self._images = images

    def run(self, durability: Durability) -> list[Image]:
        """Images that lost a layer are forgotten, and returned. Everything else that is wrong is rubbish and goes."""
        for name in os.listdir(self._root.work):
            self._trash.throw(os.path.join(self._root.work, name))
        self._trash.sweep()
        self._forget_layers(self._missing())
        self._throw_unknown_directories()
        self._forget_layers(self._damaged(durability.unsettled()))
        lost = self._forget_broken_images()
        self._layers.collect()
        self._throw_replaced()
        durability.settle_later()
        return lost

    def _missing(self) -> list[DiffId]:
        return [layer.diff_id for layer in self._layers.all() if not os.path.isdir(self._layers.path(layer.diff_id))]

    def _damaged(self, suspects: Sequence[DiffId]) -> list[DiffId]:
        damaged = []
        for diff_id in suspects:
            try:
                verify_layer(self._layers.directory(diff_id), diff_id)
            except EngineError as error:
                logger.warning("layer %s did not survive the last shutdown: %s", diff_id, error.message)
                damaged.append(diff_id)
        still_good = [(diff_id,) for diff_id in suspects if diff_id not in damaged]
        with self._db.transaction() as tx:
            tx.executemany("UPDATE layers SET boot = '' WHERE diff_id = ?", still_good)
        return damaged

    def _forget_layers(self, diff_ids: Sequence[DiffId]) -> None:
        for diff_id in diff_ids:
            self._db.execute("DELETE FROM layers WHERE diff_id = ?", (diff_id,))
            self._layers.damage.forget(diff_id)
            self._trash.throw(self._layers.directory(diff_id))

    def _throw_unknown_directories(self) -> None:
        known = {hex_of(layer.diff_id) for layer in self._layers.all()} | {_NOT_A_LAYER}
        for name in os.listdir(self._root.layers):
            if name not in known:
                self._trash.throw(os.path.join(self._root.layers, name))

    def _throw_replaced(self) -> None:
        """Directories that were replaced (see `records.damage`) and that no container stands on any more."""
        for layer in self._layers.all():
            replaced = os.path.join(self._layers.directory(layer.diff_id), REPLACED)
            if os.path.isdir(replaced) and not self._layers.damage.is_stacked(layer.diff_id):
                self._trash.throw(replaced)

    def _forget_broken_images(self) -> list[Image]:
        known = {layer.diff_id for layer in self._layers.all()}
        lost = [image for image in self._images.all() if not known.issuperset(image.layers)]
        for image in lost:
            logger.warning("image %s (%s) lost a layer and was removed", image.id, ", ".join(image.repo_tags) or "no tag")
            self._images.remove(image.id)
        return lost
