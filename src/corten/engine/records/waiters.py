"""Those who wait for a container to end or to be gone (`docker wait`, `docker run`)."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from corten.errors import Invalid

Condition = Literal["not-running", "next-exit", "removed"]


@dataclass(frozen=True, slots=True)
class WaitResult:
    """`error` says why the container could not be removed, when that was waited for."""

    exit_code: int
    error: str = ""


class Waiters:
    """The waits of one container. Every future is resolved once; a cancelled waiter is forgotten by itself."""

    __slots__ = ("_exits", "_removals")

    def __init__(self) -> None:
        self._exits: list[asyncio.Future[WaitResult]] = []
        self._removals: list[asyncio.Future[WaitResult]] = []

    def next_exit(self) -> asyncio.Future[WaitResult]:
        return _enlisted(self._exits)

    def removal(self) -> asyncio.Future[WaitResult]:
        return _enlisted(self._removals)

    def ended(self, result: WaitResult) -> None:
        _resolve(self._exits, result)

    def removed(self, result: WaitResult) -> None:
        """Nobody can end or be removed any more: whoever still waits for an end is answered as well."""
        _resolve(self._exits, result)
        _resolve(self._removals, result)


def parse_condition(text: str) -> Condition:
    """Docker's names; empty means not-running."""
    if text == "":
        return "not-running"
    if text in ("not-running", "next-exit", "removed"):
        return text  # type: ignore[return-value]
    raise Invalid(f'invalid condition: "{text}"', reason="bad-wait-condition")


def _enlisted(waiting: list[asyncio.Future[WaitResult]]) -> asyncio.Future[WaitResult]:
    future: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
    waiting.append(future)
    future.add_done_callback(lambda done: waiting.remove(done) if done in waiting else None)
    return future


def _resolve(waiting: list[asyncio.Future[WaitResult]], result: WaitResult) -> None:
    while waiting:
        future = waiting.pop()
        if not future.done():
            future.set_result(result)
