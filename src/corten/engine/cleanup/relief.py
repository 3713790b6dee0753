"""What the daemon clears away by itself: the trash, when an entry's time is over, and what garbage collection takes when the disk fills."""

import asyncio
import logging
import time
from typing import Final

from corten.engine.cleanup.opened import Cleanup
from corten.errors import EngineError

logger = logging.getLogger("corten.engine")
INTERVAL: Final = 60.0
"""Seconds between looks at most; one look is a statvfs and a query of a small table."""
SHORTEST: Final = 0.25
SPEED: Final = 2 << 30
"""Bytes per second with which a disk may fill: the nearer to the mark `high`, the sooner the next look."""
REMEMBERED: Final = 90 * 86400 * 10**9
"""For so long (ns) the last use of an image that is gone is known: it may come back."""


class Relief:
    """Belongs to the event loop."""

    def __init__(self, cleanup: Cleanup) -> None:
        self._cleanup = cleanup

    async def run(self) -> None:
        """For as long as the daemon lives."""
        self._cleanup.written.forget_images(time.time_ns() - REMEMBERED)
        while True:
            try:
                await self.look()
            except (EngineError, OSError) as error:
                logger.warning("clearing away failed: %s", error)
            await asyncio.sleep(self.pause())

    def pause(self) -> float:
        """Seconds until the next look."""
        left = self._cleanup.gc.headroom
        return min(max(left / SPEED, SHORTEST), INTERVAL) if left > 0 else INTERVAL / 12

    async def look(self) -> None:
        """Once: what is over goes, and what is needed."""
        await self._cleanup.trash.expire()
        if self._cleanup.gc.headroom < 0:
            await self._cleanup.gc.run(reason=f"the disk is fuller than {self._cleanup.gc.marks.high}")
