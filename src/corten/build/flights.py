"""Work that is under way, by what names its result: builds that want the same at the same time share one run of it.

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
class _Flight(Generic[T]):
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


class Flights(Generic[T]):
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._flights: dict[object, _Flight[T]] = {}

    async def shared(self, key: object, output: Output, work: Callable[[Output], Awaitable[T]]) -> tuple[T, bool]:
        """What `work` gives, run once for all that ask for `key` meanwhile; True for the one whose work it was. Raises what it raises.

        Who only joined must still hold what came of it: it is the other's, and may be gone by then.
        """
        flight = self._flights.get(key)
        is_own = flight is None
        if flight is None:
            flight = self._started(key, work)
        for stream, data in flight.said:
            output(stream, data)
        flight.listeners.append(output)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), is_own
        except asyncio.CancelledError:
            flight.listeners.remove(output)
            await self._left(flight, is_own=is_own)
            raise
        finally:
            flight.waiting -= 1

    def _started(self, key: object, work: Callable[[Output], Awaitable[T]]) -> _Flight[T]:
        async def run() -> T:
            try:
                return await work(flight.tell)
            finally:
                self._forget(flight)

        flight = self._flights[key] = _Flight(key, asyncio.get_running_loop().create_task(run()))
        return flight

    async def _left(self, flight: _Flight[T], *, is_own: bool) -> None:
        if flight.waiting == 1:
            self._forget(flight)  # who asks now must not be cancelled with it
            flight.task.cancel()
            await over(flight.task)
        elif is_own:
            flight.waiting -= 1
            try:
                await over(flight.task)
            finally:
                flight.waiting += 1

    def _forget(self, flight: _Flight[T]) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]


async def over(task: Awaitable[object]) -> None:
    """Waits until `task` is over, however often the waiting is cancelled; what came of it is not told."""
    future = asyncio.ensure_future(task)
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()
