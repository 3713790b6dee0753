"""Space on a full disk, reclaimed at once: the trash gives it, and the work that found no room goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from corten.errors import EngineError

AT_ONCE: Final = 256 << 20
"""Bytes that are reclaimed when nobody knows how many are needed."""
Source = Callable[[int], Awaitable[int]]
"""Tries to give back so many bytes, tells how many it gave."""
T = TypeVar("T")


class SpaceReclaimer:
    """Belongs to the event loop that it is made for, but for `reclaim_blocking`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sources: list[Source] = []
        self._reclaiming = asyncio.Lock()

    def add_source(self, source: Source) -> None:
        """Asked when those added before have not given enough."""
        self._sources.append(source)

    async def reclaim(self, wanted: int = AT_ONCE) -> int:
        """The bytes that came back, which are free when this returns."""
        async with self._reclaiming:
            reclaimed = 0
            for source in self._sources:
                if reclaimed < wanted:
                    reclaimed += await source(wanted - reclaimed)
            return reclaimed

    def reclaim_blocking(self, wanted: int) -> int:
        """`reclaim` from another thread."""
        if not self._sources:
            return 0
        return asyncio.run_coroutine_threadsafe(self.reclaim(wanted), self._loop).result()

    async def retry(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does `work`; again as often as it meets a full disk and space is reclaimed. It must leave nothing behind when it fails."""
        while True:
            try:
                return await work()
            except EngineError as error:
                if error.reason != "disk-full" or not await self.reclaim():
                    raise
