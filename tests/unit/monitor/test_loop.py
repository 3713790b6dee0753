"""The epoll loop: timers, removal in the middle of a round, late closing."""

import os

from corten.monitor.loop import EPOLLIN, Loop


def test_timers_fire_in_their_order_and_only_if_not_cancelled() -> None:
    loop = Loop()
    fired: list[str] = []
    loop.after(0.002, lambda: fired.append("second"))
    loop.after(0.001, lambda: fired.append("first"))
    loop.after(0.001, lambda: fired.append("never")).cancel()
    loop.after(0.003, loop.stop)
    loop.run()
    assert fired == ["first", "second"]


def test_a_descriptor_removed_in_a_round_is_not_heard_in_it() -> None:
    loop = Loop()
    pipes = [os.pipe(), os.pipe()]
    heard: list[int] = []

    def hear(_: int) -> None:
        heard.append(1)
        for read, _write in pipes:
            loop.close(read)

    for read, write in pipes:
        os.write(write, b"x")
        loop.add(read, EPOLLIN, hear)
    loop.run_once(0)
    assert heard == [1]
    for _, write in pipes:
        os.close(write)
    assert loop.watched == 0
