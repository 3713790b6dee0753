"""Work behind the answers: every background task of the engine runs in one group, and its failure is logged, never lost."""

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger("corten.engine")


class Tasks:
    """`async with Tasks() as tasks:` At the end of the block, what still runs is cancelled and awaited."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._running:
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run `work`; `what` names it in the log should it fail."""
        task = self._group.create_task(_guarded(work, what), name=what)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before its first step, it was never entered
        return task

    async def settled(self) -> None:
        """Returns once nothing runs (for tests and an orderly end)."""
        while self._running:
            await asyncio.wait(set(self._running))


async def _guarded(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        await work
    except Exception:  # a supervisor: one failed job must not end the others
        logger.exception("%s failed", what)
