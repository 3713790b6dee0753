"""Blocking work of a step, in a thread: who cancels it waits until the thread has noticed, so that nothing is taken from under it."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from corten.build.flights import over
from corten.errors import Unavailable

T = TypeVar("T")


class Brake:
    """Ends work in threads early: they call `check` now and then."""

    def __init__(self) -> None:
        self._gone = threading.Event()

    def check(self) -> None:
        """Raises Unavailable once the work is not wanted any more."""
        if self._gone.is_set():
            raise Unavailable("the build was cancelled", reason="cancelled")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What `work` gives. Cancelling pulls the brake and waits for the thread."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._gone.set()
            await over(task)
            raise
