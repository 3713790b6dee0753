"""`volume prune`: anonymous volumes that no container uses, or all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from corten.engine.cleanup.prune.options import PROTECTED, KeptObject, PruneFilter, PruneOptions, PruneReport
from corten.engine.events import Events
from corten.engine.models import ModelRecords
from corten.engine.protection import Protection
from corten.engine.volumes import Volumes
from corten.errors import Conflict, NotFound
from corten.store.volumes import Volume


@dataclass(frozen=True, slots=True)
class VolumePrune:
    """Belongs to the event loop. `sizes` tells what volumes hold, from kept figures where they are true."""

    volumes: Volumes
    sizes: Callable[[Sequence[Volume]], Awaitable[Mapping[str, int]]]
    protection: Protection
    models: ModelRecords
    events: Events

    async def run(self, filter: PruneFilter, options: PruneOptions, *, everything: bool) -> PruneReport:
        """`everything`: named volumes too."""
        names: list[str] = []
        kept: list[KeptObject] = []
        going: list[Volume] = []
        reclaimed = 0
        for volume in self.volumes.list({}):
            if set(volume.users) - options.without or not (everything or volume.anonymous) or not filter.wants(volume.labels):
                continue
            if (why := await self._why_kept(volume, options)) is not None:
                kept.append(KeptObject(volume.name, why))
            else:
                going.append(volume)
        sizes = await self.sizes(going)
        for volume in going:
            try:
                if not options.dry:
                    await self.volumes.remove(volume.name, force_protected=options.force_protected, size=sizes[volume.name])
            except (NotFound, Conflict):
                continue  # taken, protected or gone meanwhile
            names.append(volume.name)
            reclaimed += sizes[volume.name]
        if not options.dry:
            self.events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return PruneReport(tuple(names), reclaimed, tuple(kept))

    async def _why_kept(self, volume: Volume, options: PruneOptions) -> str | None:
        if not options.force_protected and self.protection.covers(volume.name, volume.labels):
            return PROTECTED
        if options.spare_models:
            found = await asyncio.to_thread(self.models.scan, volume.name, self.volumes.mountpoint(volume))
            if found is not None:
                return str(found)
        return None
