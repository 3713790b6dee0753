"""What is known of volumes besides their records, and where removed ones are; made before the volumes are used."""

import os
from dataclasses import dataclass

from corten.engine import models, protection
from corten.engine.models import Models
from corten.engine.protection import Protection
from corten.engine.volumes import VolumeRemoval
from corten.store.opened import Store
from corten.store.records import uses
from corten.store.records.uses import Uses
from corten.store.trashbin.volumes import VolumeBin
from corten.store.volumes import Volumes as VolumeStore

MIGRATIONS = (*protection.MIGRATIONS, *models.MIGRATIONS, *uses.MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Marks:
    protection: Protection
    models: Models
    bin: VolumeBin
    removal: VolumeRemoval
    uses: Uses


def make_marks(store: Store, volumes: VolumeStore) -> Marks:
    """Puts right what a crash left between volumes and trash; comes before anybody uses the volumes."""
    known, seen, used = Protection(store.db), Models(store.db), Uses(store.db)
    bin = VolumeBin(store.bin, os.path.join(store.root.path, "volumes"))
    bin.recover()
    return Marks(known, seen, bin, VolumeRemoval(store, volumes, bin, known, seen, used), used)
