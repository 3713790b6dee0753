"""Steps that read a folder in which others work: done again with what is there now, and at last with a copy that keeps still."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from corten.build.files.witness import Changed

T = TypeVar("T")
FRESH: Final = 2
"""Attempts before the folder is copied."""
MOST: Final = 12
"""Attempts in all: a step may need several folders, and wait for another build's."""


async def steadily(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, which is begun anew when a tree changes under it. Raises what it raises."""
    for attempt in itertools.count(1):
        try:
            return await work()
        except Changed as change:
            if attempt == MOST:
                raise
            if attempt >= FRESH:
                await asyncio.to_thread(change.settle)
    raise AssertionError("counting has no end")
