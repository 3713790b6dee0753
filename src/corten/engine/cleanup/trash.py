"""What was removed and is still there: list it, have it back, let it go; and its end when its time is over or the disk is full."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from corten.engine.events import Events
from corten.engine.protection import Protection
from corten.errors import EngineError, Invalid, Unavailable
from corten.oci.reference import parse_reference
from corten.store.files import SCARCE, free_bytes
from corten.store.opened import Store
from corten.store.records.uses import Uses
from corten.store.trashbin.bin import UNKNOWN, Entry
from corten.store.trashbin.images import ImageBin
from corten.store.trashbin.volumes import KIND as VOLUME
from corten.store.trashbin.volumes import VolumeBin

FULL: Final = "the disk is full"


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """An entry, and when it ends: ns since the epoch."""

    entry: Entry
    expires: int


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """`names`: the volume's, or an image's tags as people write them (its id when it has none)."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmptyResult:
    ids: tuple[str, ...]
    reclaimed: int  # bytes


class TrashCan:
    """Belongs to the event loop; measuring goes to threads, deleting happens behind the answer."""

    def __init__(self, store: Store, *, images: ImageBin, volumes: VolumeBin, protection: Protection, uses: Uses, events: Events) -> None:
        self._store = store
        self._bin = store.bin
        self._volumes = volumes
        self._images = images
        self._protection = protection
        self._uses = uses
        self._events = events

    @property
    def is_on(self) -> bool:
        """Whether what is removed is kept."""
        return bool(self._bin.keep)

    async def list(self) -> list[TrashEntry]:
        """Longest in the trash first, every size known."""
        found = [await self._measured(entry) for entry in self._bin.all()]
        return [TrashEntry(entry, entry.removed + self._bin.keep) for entry in found]

    async def restore(self, ref: str, name: str = "") -> RestoreResult:
        """As it was, or under another `name`. Raises NotFound, Conflict when a name is taken, Invalid for a bad name."""
        entry = self._bin.get(ref)
        if entry.kind == VOLUME:
            return self._restore_volume(entry, name)
        tag = parse_reference(name).with_default_tag() if name else None
        if tag is not None and tag.digest:
            raise Invalid(f"an image cannot be restored under a digest: {name}", reason="bad-reference")
        images = [self._store.images.by_id(image_id) for image_id in self._images.restore(entry, tag)]
        names: list[str] = []
        for image in images:
            if image is None:
                continue
            shown = image.repo_tags or (image.id,)
            names += shown
            for one in shown:
                self._events.publish("image", "restore", image.id, {"name": one})
        return RestoreResult(entry.kind, tuple(names))

    async def empty(self, refs: Sequence[str] | None = None, *, reason: str = "emptied by the user") -> EmptyResult:
        """Let entries go for good, all of them without `refs`. Raises NotFound before anything is gone."""
        entries = self._bin.all() if refs is None else list({e.id: e for e in map(self._bin.get, refs)}.values())
        reclaimed = 0
        for entry in entries:
            reclaimed += await self._purge(entry, reason)
        return EmptyResult(tuple(entry.id for entry in entries), reclaimed)

    async def expire(self, now: int | None = None) -> EmptyResult:
        """Let go what has been here for as long as it may."""
        limit = (time.time_ns() if now is None else now) - self._bin.keep
        over = [entry.id for entry in self._bin.all() if entry.removed <= limit]
        return await self.empty(over, reason="its time in the trash is over") if over else EmptyResult((), 0)

    async def make_room(self, wanted: int, *, reason: str) -> EmptyResult:
        """Let entries go, the oldest first, until the disk has `wanted` bytes more than now, or the trash is empty."""
        ids: list[str] = []
        reclaimed = 0
        for entry in self._bin.all():
            if reclaimed >= wanted:
                break
            reclaimed += await self._purge(entry, reason)
            ids.append(entry.id)
        return EmptyResult(tuple(ids), reclaimed)

    async def free_space(self, wanted: int) -> int:
        """`make_room` for work that found the disk full: the bytes, which are free when this returns."""
        try:
            emptied = await self.make_room(wanted, reason=FULL)
        except Unavailable:  # not even room for the records: files go before their rows, so there is some in a moment
            await asyncio.to_thread(self._store.background.wait)
            emptied = await self.make_room(wanted, reason=FULL)
        if emptied.ids:
            await asyncio.to_thread(self._store.background.wait)
        return emptied.reclaimed

    def free(self) -> int:
        """Bytes that the disk has left."""
        return free_bytes(self._store.root.path)

    def _restore_volume(self, entry: Entry, name: str) -> RestoreResult:
        said = entry.body.get("protected")

        def protect() -> None:
            if said is not None:
                self._protection.set(name or entry.name, said)

        restored = self._volumes.restore(entry, name, along=protect)
        if used := entry.body.get("used"):
            self._uses.note("volume", (restored,), used)
        self._events.publish("volume", "restore", restored, {"driver": "local"})
        return RestoreResult(entry.kind, (restored,))

    async def _purge(self, entry: Entry, reason: str) -> int:
        """Bytes that come back."""
        if entry.kind == VOLUME:
            size = (await self._measured(entry)).size
            self._volumes.discard(entry)
            if self.free() < SCARCE:  # the row's end takes room itself, which the files give
                await asyncio.to_thread(self._store.background.wait)
            self._volumes.forget(entry)
        else:
            self._images.purge(entry)
            size = sum(layer.size for layer in await asyncio.to_thread(self._store.layers.collect))
        self._events.publish(entry.kind, "purge", entry.name, {"reason": reason, "reclaimed": str(size), "trash": entry.id})
        return size

    async def _measured(self, entry: Entry) -> Entry:
        if entry.size != UNKNOWN or entry.kind != VOLUME:
            return entry
        try:
            await asyncio.to_thread(self._volumes.measure, entry)
            return self._bin.get(entry.id)
        except EngineError:
            return entry  # restored or purged meanwhile
