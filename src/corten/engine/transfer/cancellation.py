"""Transfers block, so they run in threads; who cancels one waits until its thread has noticed."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def interruptible(work: Callable[[], T], gone: threading.Event) -> T:
    """`work` in a thread; cancelling sets `gone` and waits until the thread has noticed."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        gone.set()
        await asyncio.gather(task, return_exceptions=True)
        raise
