"""Steps that are under way, by recipe: builds that want the same step at the same time share one run of it.

The build that came first runs the step with what is its own (context, secrets, mounts). When it is cancelled while others wait, it
stays until the step is over, so that the step keeps all of that; when nobody waits any more, the step is cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from corten.ids import DiffId

Output = Callable[[str, bytes], None]
Work = Callable[[Output], Awaitable[DiffId | None]]
KEPT_BYTES: Final = 1 << 20
"""Of a step's output, for a build that joins later."""


@dataclass(slots=True)
class _Flight:
    task: "asyncio.Task[DiffId | None]"
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


class Flights:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def shared(self, key: str, output: Output, work: Work) -> tuple[DiffId | None, bool]:
        """What `work` gives, run once for all that ask for `key` meanwhile; True for the one whose work it was. Raises what it raises.

        Who only joined must still hold the layer: it is the cache's, and may be gone by then.
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

    def _started(self, key: str, work: Work) -> _Flight:
        async def run() -> DiffId | None:
            try:
                return await work(flight.tell)
            finally:
                del self._flights[key]

        flight = self._flights[key] = _Flight(asyncio.get_running_loop().create_task(run()))
        return flight

    async def _left(self, flight: _Flight, *, is_own: bool) -> None:
        if flight.waiting == 1:
            flight.task.cancel()
            await asyncio.gather(flight.task, return_exceptions=True)
        elif is_own:
            flight.waiting -= 1
            try:
                await asyncio.wait([flight.task])
            finally:
                flight.waiting += 1
