"""Cancellable blocking work of a step in a thread. Who cancels waits for the thread: nothing is removed while it is used."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from corten.build.singleflight import over
from corten.errors import Unavailable

T = TypeVar("T")


class CancelToken:
    """Ends work in threads early: they call `check` now and then."""

    def __init__(self, cancel_import: Callable[[], None] = lambda: None) -> None:
        """`cancel_import` ends a download that the work may be waiting for."""
        self._gone = threading.Event()
        self._cancel_import = cancel_import

    def check(self) -> None:
        """Raises Unavailable once the work is not wanted any more."""
        if self._gone.is_set():
            raise Unavailable("the build was cancelled", reason="cancelled")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What `work` gives. Cancelling makes `check` raise, and waits for the thread."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._gone.set()
            self._cancel_import()
            await over(task)
            raise
