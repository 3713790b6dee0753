"""Garbage collection by the daemon itself: of the trash when its time is over, of build cache by rules, of all when the disk fills."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from corten.engine.cleanup.gc.collection import GarbageCollector
from corten.engine.cleanup.prune.caches import CachePrune, CachePruneFilter
from corten.engine.cleanup.trash import TrashCan
from corten.errors import EngineError
from corten.gcpolicy import BuildCacheRule

logger = logging.getLogger("corten.engine")
INTERVAL: Final = 60.0
"""Seconds between looks at most; one look is a statvfs and a query of a small table."""
SHORTEST: Final = 0.25
SPEED: Final = 2 << 30
"""Bytes per second with which a disk may fill: the nearer to `high`, the sooner the next look."""
RULED: Final = 600.0
"""Seconds between two looks at the build cache, for which its cache mounts are walked."""
KNOWN: Final = 90 * 86400 * 10**9
"""For so long (ns) the last use of an image that is gone is known: it may come back."""


class GcLoop:
    """Belongs to the event loop."""

    def __init__(
        self,
        gc: GarbageCollector,
        trash: TrashCan,
        caches: CachePrune,
        *,
        rules: Sequence[BuildCacheRule] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rules` for build cache, as in Docker's `builder.gc`; `clock` in seconds, which may be few just after the machine's boot."""
        self._clock = clock
        self._gc = gc
        self._trash = trash
        self._caches = caches
        self._rules = rules
        self._ruled: float | None = None

    async def run(self) -> None:
        """For as long as the daemon lives."""
        while True:
            try:
                await self.run_once()
            except (EngineError, OSError) as error:
                logger.warning("garbage collection failed: %s", error)
            await asyncio.sleep(self.pause())

    def pause(self) -> float:
        """Seconds until the next look."""
        left = self._gc.headroom
        return min(max(left / SPEED, SHORTEST), INTERVAL) if left > 0 else INTERVAL / 12

    async def run_once(self) -> None:
        """Expires the trash, applies the rules for build cache, and collects garbage when the disk is fuller than `high`."""
        await self._trash.expire()
        now = self._clock()
        if self._rules and (self._ruled is None or now - self._ruled >= RULED):
            self._ruled = now
            await self.apply_rules()
        if self._gc.headroom < 0:
            await self._gc.run(reason=f"the disk is fuller than {self._gc.policy.high}")

    async def apply_rules(self) -> None:
        """One rule after another."""
        _, total = self._gc.disk()
        for rule in self._rules:
            what = CachePruneFilter(
                everything=rule.everything,
                until=time.time_ns() - rule.unused * 10**9 if rule.unused else 0,
                types=rule.types,
                keep_bytes=rule.keep.of(total) if rule.keep else 0,
                most_bytes=rule.most.of(total) if rule.most else 0,
                free_bytes=rule.free.of(total) if rule.free else 0,
            )
            await self._caches.enforce(what, reason="a rule of builder.gc")
