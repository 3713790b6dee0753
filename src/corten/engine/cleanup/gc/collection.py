"""Garbage collection: looks at the disk, plans, and does what was planned, by itself above `high` or when it is asked to."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from corten.engine.cleanup.gc.candidates import MOUNT, STEP, GcCandidates
from corten.engine.cleanup.gc.plan import Candidate, GcPlan, Verdict, make_plan
from corten.engine.cleanup.prune.caches import CachePrune
from corten.engine.cleanup.trash import TrashCan
from corten.engine.events import Events
from corten.engine.images.removal import ImageRemoval
from corten.errors import EngineError
from corten.gcpolicy import DiskSpace, GcPolicy
from corten.ids import ImageId

logger = logging.getLogger("corten.engine")
Disk = Callable[[], tuple[int, int]]
"""The bytes used and the bytes there are."""


def disk_of(path: str) -> Disk:
    """As `df` counts: what users may not have counts neither as used nor as there."""

    def disk() -> tuple[int, int]:
        found = os.statvfs(path)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return used, used + found.f_bavail * found.f_frsize

    return disk


@dataclass(frozen=True, slots=True, kw_only=True)
class GcOverrides:
    """What holds this time in place of the policy; None: as the policy says."""

    low: DiskSpace | None = None
    keep: int | None = None


@dataclass(frozen=True, slots=True)
class GcReport:
    """What was seen and what follows from it. `reclaimed`: bytes that came back, 0 as long as nothing was done."""

    used: int
    total: int
    policy: GcPolicy
    plan: GcPlan
    reclaimed: int = 0


class GarbageCollector:
    """Belongs to the event loop. One collection at a time."""

    def __init__(
        self,
        candidates: GcCandidates,
        policy: GcPolicy,
        *,
        trash: TrashCan,
        caches: CachePrune,
        images: ImageRemoval,
        events: Events,
        disk: Disk,
    ) -> None:
        self.disk = disk
        self.policy = policy
        self._candidates = candidates
        self._trash = trash
        self._caches = caches
        self._images = images
        self._events = events
        self._running = asyncio.Lock()

    @property
    def headroom(self) -> int:
        """Bytes below `high`; negative above it."""
        used, total = self.disk()
        return self.policy.high.of(total) - used

    async def plan(self, asked: GcOverrides = GcOverrides()) -> GcReport:
        """What would go down to `low`; nothing is changed."""
        policy = replace(self.policy, low=asked.low or self.policy.low, keep=self.policy.keep if asked.keep is None else asked.keep)
        candidates, layered = await self._candidates.all()
        used, total = self.disk()
        plan = make_plan(candidates, layered, policy, wanted=used - policy.low.of(total), now=time.time_ns())
        return GcReport(used, total, policy, plan)

    async def run(self, asked: GcOverrides = GcOverrides(), *, reason: str) -> GcReport:
        """Does it. What somebody began to use meanwhile stays, and is missing in `going`."""
        async with self._running:
            look = await self.plan(asked)
            went: list[Verdict] = []
            reclaimed = 0
            for verdict in look.plan.going:
                size = await self._take(verdict, f"{reason}: {verdict.why}")
                if size is not None:
                    went.append(replace(verdict, size=size))
                    reclaimed += size
        if went:
            logger.info("garbage collection (%s): %d bytes reclaimed", reason, reclaimed)
        return replace(look, plan=replace(look.plan, going=tuple(went)), reclaimed=reclaimed)

    async def _take(self, verdict: Verdict, reason: str) -> int | None:
        """The bytes that came back; None when it may not go any more."""
        candidate = verdict.candidate
        try:
            if candidate.kind == "trash":
                return (await self._trash.empty([candidate.id], reason=reason)).reclaimed
            if candidate.kind == "build-cache":
                return await self._take_cache(candidate, verdict.size, reason)
            size = await self._images.evict(ImageId(candidate.id))
        except EngineError:
            return None
        if size is not None:
            self._events.publish("image", "evict", candidate.id, {"name": candidate.name, "reason": reason, "size": str(size)})
        return size

    async def _take_cache(self, candidate: Candidate, size: int, reason: str) -> int:
        if candidate.id.startswith(MOUNT):
            return self._caches.evict_mount(candidate.id.removeprefix(MOUNT), size, reason=reason)
        return await self._caches.evict_step(candidate.id.removeprefix(STEP), reason=reason)
