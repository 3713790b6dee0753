"""Single flight: work in progress by its key. Builds that want the same at the same time share one execution.

The build that came first does the work with what is its own (context, secrets, mounts). When it is cancelled while others wait, it
stays until the work is over, so that the work keeps all of that; when nobody waits any more, the work is cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Output = Callable[[str, bytes], None]
KEPT_BYTES: Final = 1 << 20
"""Of a step's output, for a build that joins later."""


@dataclass(slots=True)
class _Call(Generic[T]):
    key: object
    task: "asyncio.Task[T]"
    listeners: list[Output] = field(default_factory=list)
    said: list[tuple[str, bytes]] = field(default_factory=list)
    size: int = 0
    waiting: int = 0

    def tell(self, stream: str, data: bytes) -> None:
        for listener in self.listeners:
            listener(stream, data)
        if self.size < KEPT_BYTES:
            self.said.append((stream, data))
            self.size += len(data)


class SingleFlight(Generic[T]):
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._calls: dict[object, _Call[T]] = {}

    async def do(self, key: object, output: Output, work: Callable[[Output], Awaitable[T]]) -> tuple[T, bool]:
        """What `work` gives, run once for all that ask for `key` meanwhile; True for the one whose work it was. Raises what it raises.

        Who only joined must still hold what came of it: it is the other's, and may be gone by then.
        """
        call = self._calls.get(key)
        is_own = call is None
        if call is None:
            call = self._start(key, work)
        for stream, data in call.said:
            output(stream, data)
        call.listeners.append(output)
        call.waiting += 1
        try:
            return await asyncio.shield(call.task), is_own
        except asyncio.CancelledError:
            call.listeners.remove(output)
            await self._leave(call, is_own=is_own)
            raise
        finally:
            call.waiting -= 1

    def _start(self, key: object, work: Callable[[Output], Awaitable[T]]) -> _Call[T]:
        async def run() -> T:
            try:
                return await work(call.tell)
            finally:
                self._forget(call)

        call = self._calls[key] = _Call(key, asyncio.get_running_loop().create_task(run()))
        return call

    async def _leave(self, call: _Call[T], *, is_own: bool) -> None:
        if call.waiting == 1:
            self._forget(call)  # who asks now must not be cancelled with it
            call.task.cancel()
            await over(call.task)
        elif is_own:
            call.waiting -= 1
            try:
                await over(call.task)
            finally:
                call.waiting += 1

    def _forget(self, call: _Call[T]) -> None:
        if self._calls.get(call.key) is call:
            del self._calls[call.key]


async def over(task: Awaitable[object]) -> None:
    """Waits until `task` is over, however often the waiting is cancelled; its result is ignored."""
    future = asyncio.ensure_future(task)
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()
