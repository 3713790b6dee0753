"""How a volume goes: into the trash with its marks, or for good."""

from functools import partial

from corten.engine.cleanup.models import Models
from corten.engine.cleanup.protection import Protection
from corten.errors import Conflict
from corten.store.opened import Store
from corten.store.records.uses import Uses
from corten.store.trashbin.bin import UNKNOWN, Entry
from corten.store.trashbin.volumes import VolumeBin
from corten.store.volumes import Volume, Volumes


class VolumeRemoval:
    """Belongs to the event loop; microseconds, whatever the volume holds."""

    def __init__(self, store: Store, volumes: Volumes, bin: VolumeBin, protection: Protection, models: Models, uses: Uses) -> None:
        self._store = store
        self._volumes = volumes
        self._bin = bin
        self._protection = protection
        self._models = models
        self._uses = uses

    def is_protected(self, volume: Volume) -> bool:
        return self._protection.covers(volume.name, volume.labels)

    def check(self, volume: Volume) -> None:
        """Raises Conflict when it is protected."""
        self._protection.check(volume.name, volume.labels)

    def remove(self, name: str, *, size: int = UNKNOWN, for_good: bool = False) -> None:
        """`size`: what it holds, if somebody has measured. Raises NotFound, and Conflict in Docker's words while somebody uses it."""
        volume = self._volumes.get(name)
        if volume.users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(volume.users)}]", reason="volume-in-use")
        if for_good or not self._store.bin.keep:
            self._volumes.remove(name)
            self._forget(name)
            return
        extra = {"protected": self._protection.said(name), "used": self._uses.find("volume", name)}
        entry = self._bin.put(name, size=size, extra=extra, along=partial(self._forget, name))
        if size == UNKNOWN:
            self._store.background.submit(partial(_measure, self._bin, entry))

    def _forget(self, name: str) -> None:
        """Another volume of that name starts anew."""
        self._protection.forget(name)
        self._models.forget(name)
        self._uses.forget("volume", name)


def _measure(bin: VolumeBin, entry: Entry) -> None:
    bin.measure(entry)
