"""One run of a step for all who want it meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from corten.build.singleflight import Output, SingleFlight
from corten.errors import Invalid
from corten.ids import DiffId

LAYER = DiffId("sha256:" + "a" * 64)
Layers = SingleFlight[DiffId | None]


class Step:
    """Runs until it is told to end."""

    def __init__(self) -> None:
        self.runs = 0
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def work(self, output: Output) -> DiffId | None:
        self.runs += 1
        output("stdout", b"begun\n")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        output("stdout", b"ended\n")
        return LAYER


Asked = tuple["asyncio.Task[tuple[DiffId | None, bool]]", list[bytes]]


def asked(singleflight: Layers, step: Step) -> Asked:
    said: list[bytes] = []
    return asyncio.ensure_future(singleflight.do("key", lambda stream, data: said.append(data), step.work)), said


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def played(play: Callable[[Layers, Step], Awaitable[None]]) -> None:
    async def main() -> None:
        await play(SingleFlight(), Step())

    asyncio.run(main())


def test_one_run_serves_both_and_the_late_one_hears_it_all() -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        first, heard = asked(singleflight, step)
        await settled()
        second, late = asked(singleflight, step)
        await settled()
        step.go_on.set()
        assert await first == (LAYER, True)
        assert await second == (LAYER, False)
        assert step.runs == 1
        assert heard == late == [b"begun\n", b"ended\n"]

    played(play)


def test_afterwards_it_runs_again() -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        step.go_on.set()
        await asked(singleflight, step)[0]
        assert (await asked(singleflight, step)[0])[1]
        assert step.runs == 2

    played(play)


def test_a_cancelled_owner_stays_until_the_step_is_over() -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        first, _ = asked(singleflight, step)
        second, _ = asked(singleflight, step)
        await settled()
        first.cancel()
        await settled()
        assert not first.done()
        step.go_on.set()
        assert await second == (LAYER, False)
        with pytest.raises(asyncio.CancelledError):
            await first

    played(play)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_when_nobody_waits_the_step_is_cancelled(order: tuple[int, int]) -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        both = [asked(singleflight, step)[0], asked(singleflight, step)[0]]
        await settled()
        for number in order:
            both[number].cancel()
            await settled()
        assert step.cancelled
        await asyncio.gather(*both, return_exceptions=True)
        assert all(task.cancelled() for task in both)

    played(play)


def test_who_asks_while_a_step_is_being_cancelled_begins_anew() -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        going = asyncio.Event()

        async def slow(output: Output) -> DiffId | None:
            try:
                return await step.work(output)
            finally:
                await going.wait()

        first = asyncio.ensure_future(singleflight.do("key", lambda *_: None, slow))
        await settled()
        first.cancel()
        await settled()
        second, _ = asked(singleflight, step)
        await settled()
        going.set()
        step.go_on.set()
        assert await second == (LAYER, True)
        assert step.runs == 2

    played(play)


def test_an_owner_that_is_cancelled_twice_still_stays() -> None:
    async def play(singleflight: Layers, step: Step) -> None:
        first, _ = asked(singleflight, step)
        second, _ = asked(singleflight, step)
        await settled()
        for _ in range(3):
            first.cancel()
            await settled()
        assert not first.done()
        step.go_on.set()
        assert await second == (LAYER, False)
        await asyncio.gather(first, return_exceptions=True)

    played(play)


def test_a_failure_is_everybodys() -> None:
    async def fail(output: Output) -> DiffId | None:
        raise Invalid("no")

    async def main() -> None:
        singleflight: Layers = SingleFlight()
        found = await asyncio.gather(*(singleflight.do("k", lambda *_: None, fail) for _ in range(2)), return_exceptions=True)
        assert [str(error) for error in found] == ["no", "no"]

    asyncio.run(main())
