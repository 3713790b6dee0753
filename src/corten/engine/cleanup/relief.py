"""What the daemon clears away by itself: the trash, when an entry's time is over, and what garbage collection takes when the disk fills."""

import asyncio
import logging
import time
from typing import Final

from corten.engine.cleanup.opened import Cleanup
from corten.errors import EngineError

logger = logging.getLogger("corten.engine")
INTERVAL: Final = 60.0
"""Seconds between looks; one look is a statvfs and a query of a small table."""
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
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Once: what is over goes, and what is needed."""
        await self._cleanup.trash.expire()
        if self._cleanup.gc.is_due:
            await self._cleanup.gc.run(reason=f"the disk is fuller than {self._cleanup.gc.marks.high}")
