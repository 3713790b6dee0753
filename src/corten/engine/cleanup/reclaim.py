"""Room on a full disk, at once: the trash gives it, longest in it first, and the work that found no room goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from corten.engine.cleanup.trash import TrashCan
from corten.errors import EngineError, Unavailable
from corten.store.opened import Store

AT_ONCE: Final = 256 << 20
"""Bytes that are asked of the trash when nobody knows how many are needed."""
REASON: Final = "the disk is full"
T = TypeVar("T")


class Room:
    """Belongs to the event loop, but for `make_blocking`."""

    def __init__(self, store: Store, trash: TrashCan) -> None:
        self._store = store
        self._trash = trash
        self._making = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve_layers(self) -> None:
        """From here on layers that do not fit ask for room. To be called in the event loop that then serves them."""
        self._loop = asyncio.get_running_loop()
        self._store.layers.relieve = self.make_blocking

    async def make(self, wanted: int = AT_ONCE) -> int:
        """Empties the trash until `wanted` bytes came back, or all of it: the bytes, which are free when this returns."""
        async with self._making:
            try:
                emptied = await self._trash.make_room(wanted, reason=REASON)
            except Unavailable:  # not even room for the records: files go before their rows, so there is some in a moment
                await asyncio.to_thread(self._store.background.wait)
                emptied = await self._trash.make_room(wanted, reason=REASON)
            if emptied.ids:
                await asyncio.to_thread(self._store.background.wait)
            return emptied.reclaimed

    def make_blocking(self, wanted: int) -> int:
        """`make` from another thread."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.make(wanted), self._loop).result()

    async def tried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does `work`; again as often as it meets a full disk and the trash can give room. It must leave nothing behind when it fails."""
        while True:
            try:
                return await work()
            except EngineError as error:
                if error.reason != "disk-full" or not await self.make():
                    raise
