"""Clean-up as one value for the API: prune, the trash, garbage collection, and what is known of volumes and images for them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from corten.engine.cleanup.gc.collection import GarbageCollector
from corten.engine.cleanup.gc.loop import KNOWN, GcLoop
from corten.engine.cleanup.last_uses import LastUses
from corten.engine.cleanup.prune.prunes import Prunes
from corten.engine.cleanup.trash import TrashCan
from corten.engine.models import ModelRecords, ModelScanner
from corten.engine.protection import Protection
from corten.engine.tasks import Tasks
from corten.gcpolicy import BuildCacheRule
from corten.store.records.uses import Uses


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """`records` are what `uses` are kept in."""

    protection: Protection
    models: ModelRecords
    scanner: ModelScanner
    trash: TrashCan
    uses: LastUses
    records: Uses
    gc: GarbageCollector
    prunes: Prunes

    def gc_loop(self, rules: Sequence[BuildCacheRule] = ()) -> GcLoop:
        """What the daemon does by itself. `rules` for build cache, as in Docker's `builder.gc`."""
        return GcLoop(self.gc, self.trash, self.prunes.caches, rules=rules)

    def start(self, tasks: Tasks, rules: Sequence[BuildCacheRule]) -> None:
        """For as long as `tasks` live: last uses are written, and what is over or needed goes."""
        self.records.forget_images(time.time_ns() - KNOWN)
        tasks.spawn(self.records.keep_written(), "last uses")
        tasks.spawn(self.gc_loop(rules).run(), "garbage collection")
