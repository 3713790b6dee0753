"""What the daemon clears away by itself: the trash, when an entry's time is over, and earlier when the disk fills.

Above the mark `high` entries go, longest in the trash first, until the disk is down at `low` or the trash is empty. Every entry that
goes leaves an event (`purge`, with the reason and the bytes).
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Final

from corten.engine.cleanup.trash import TrashCan
from corten.errors import EngineError
from corten.gcmarks import GcMarks

logger = logging.getLogger("corten.engine")
INTERVAL: Final = 60.0
"""Seconds between looks; one look is a statvfs and a query of a small table."""


class Relief:
    """Belongs to the event loop."""

    def __init__(self, trash: TrashCan, marks: GcMarks, disk: Callable[[], tuple[int, int]]) -> None:
        """`disk` tells the bytes used and the bytes there are."""
        self._trash = trash
        self._marks = marks
        self._disk = disk

    async def run(self) -> None:
        """For as long as the daemon lives."""
        while True:
            try:
                await self.look()
            except (EngineError, OSError) as error:
                logger.warning("clearing the trash failed: %s", error)
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Once: what is over goes, and what is needed."""
        await self._trash.expire()
        used, total = self._disk()
        if used * 100 > total * self._marks.high:
            wanted = used - total * self._marks.low // 100
            reason = f"the disk is fuller than {self._marks.high}%"
            emptied = await self._trash.make_room(wanted, reason=reason)
            if emptied.ids:
                logger.info("%s: %d bytes given back from the trash", reason, emptied.reclaimed)


def disk_of(path: str) -> Callable[[], tuple[int, int]]:
    """As `df` counts: what users may not have counts neither as used nor as there."""

    def disk() -> tuple[int, int]:
        found = os.statvfs(path)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return used, used + found.f_bavail * found.f_frsize

    return disk
