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

    def __init__(self, give_up: Callable[[], None] = lambda: None) -> None:
        """`give_up` ends what else the work may be waiting for."""
        self._gone = threading.Event()
        self._give_up = give_up

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
            self._give_up()
            await over(task)
            raise
