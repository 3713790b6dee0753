"""Work in threads: cancelled, it ends early, and nobody goes on before it did."""

import asyncio
import threading
import time

import pytest

from corten.build.steps.cancel import CancelToken
from corten.errors import Unavailable


@pytest.mark.parametrize("times", [1, 3])
def test_who_cancels_waits_until_the_thread_has_noticed(times: int) -> None:
    ended: list[str] = []
    begun = threading.Event()
    cancel = CancelToken()

    def work() -> None:
        begun.set()
        try:
            while True:
                cancel.check()
                time.sleep(0.001)
        except Unavailable:
            time.sleep(0.05)
            ended.append("thread")
            raise

    async def main() -> None:
        task = asyncio.ensure_future(cancel.in_thread(work))
        await asyncio.to_thread(begun.wait)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.append("caller")

    asyncio.run(main())
    assert ended == ["thread", "caller"]


def test_what_the_work_gives_and_raises() -> None:
    def wrong() -> None:
        raise ValueError("no")

    assert asyncio.run(CancelToken().in_thread(lambda: 7)) == 7
    with pytest.raises(ValueError, match="no"):
        asyncio.run(CancelToken().in_thread(wrong))
