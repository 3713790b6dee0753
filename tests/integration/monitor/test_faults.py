"""`kill -9` of launcher, monitors and daemon under load: no byte of output and no exit status is lost, and containers go on."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable

import pytest

from corten.errors import Unavailable
from corten.monitor.events import Exited, LauncherLost, MonitorLost
from corten.monitor.values import UNKNOWN_EXIT, StdioSpec
from tests.integration.monitor.world import World, demultiplexed, new_id, numbers

SEED = int(os.environ.get("TEST_SEED") or time.time_ns() % 100_000)
VICTIMS = [["corten-monitor"], ["corten-launcher"], ["corten-monitor", "corten-launcher"]]


async def kill_while(world: World, going_on: Awaitable[object], victims: list[str], *, pause: float = 0.04) -> None:
    """Kill one of them again and again, each time when the last one has been replaced, up to `pause` seconds later."""
    print(f"TEST_SEED={SEED}")
    choices = random.Random(SEED)
    task = asyncio.ensure_future(going_on)
    while not task.done():
        await asyncio.sleep(choices.uniform(0.0, pause))
        world.kill(choices.choice(victims))
        await world.repaired()
    await task


@pytest.mark.parametrize("victims", VICTIMS, ids=["monitor", "launcher", "both"])
@pytest.mark.parametrize("max_size", [-1, 400_000], ids=["one file", "rotated"])
async def test_every_byte_is_logged_once(world: World, victims: list[str], max_size: int) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, max_size=max_size, max_file=1000)
    await world.start("sh", "-c", "seq 1 600000; exit 7", stdio=stdio, container_id=container_id)
    await kill_while(world, world.ended(container_id), victims)
    assert (await world.ended(container_id)).exit_code == 7
    assert await world.log_text(container_id, stdio["log"]) == numbers(1, 600_000)


async def test_with_a_terminal(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, tty=True)
    await world.start("sh", "-c", "seq 1 100000; exit 7", stdio=stdio, container_id=container_id)
    await kill_while(world, world.ended(container_id), VICTIMS[2])
    assert (await world.ended(container_id)).exit_code == 7
    assert await world.log_text(container_id) == numbers(1, 100_000, "\r\n")


async def test_two_streams_in_small_pieces(world: World) -> None:
    container_id = await world.start("sh", "-c", "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo $i; echo $i >&2; done")
    await kill_while(world, world.ended(container_id), VICTIMS[0])
    assert demultiplexed(await world.log_text(container_id, framed=True)) == (numbers(1, 4000), numbers(1, 4000))


@pytest.mark.parametrize("victim", ["corten-monitor", "corten-launcher"])
async def test_the_victim_is_reported_and_replaced(world: World, victim: str) -> None:
    container_id = await world.start("sleep", "100")
    (before,) = world.pids(victim)
    world.kill(victim)
    await world.repaired()
    assert world.pids(victim) not in ([], [before])
    lost = MonitorLost((container_id,)) if victim == "corten-monitor" else LauncherLost()
    assert lost in world.events
    assert world.monitors.live()[container_id].status == "running"
    await world.monitors.of(container_id).kill(9)
    assert (await world.ended(container_id)).exit_code == 137


@pytest.mark.parametrize("victim", ["corten-monitor", "corten-launcher"])
async def test_attach_works_again(world: World, victim: str) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True)
    await world.start("cat", stdio=stdio, container_id=container_id)
    first = await world.attach(container_id, stdin=True, framed=False)
    await first.write(b"one\n")
    await first.read_until(b"one\n")
    world.kill(victim)
    await world.repaired()
    second = await world.attach(container_id, stdin=True, framed=False, logs=True)
    await second.write(b"two\n")
    assert await second.read_until(b"two\n") == b"one\ntwo\n"
    if victim == "corten-monitor":
        assert await first.read_all() == b""
    else:
        assert await first.read_until(b"two\n") == b"two\n"


async def test_a_terminal_is_still_one_after_its_monitor_died(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, tty=True, stdin=True)
    await world.start("sh", "-c", "read x; stty size; echo [$x]; exit 3", stdio=stdio, container_id=container_id)
    world.kill("corten-monitor")
    await world.repaired()
    await world.monitors.of(container_id).resize(21, 71)
    client = await world.attach(container_id, stdin=True, framed=False)
    await client.write(b"typed\n")
    assert (await client.read_all()).endswith(b"21 71\r\n[typed]\r\n")
    assert (await world.ended(container_id)).exit_code == 3


async def test_stdin_that_was_closed_stays_closed(world: World) -> None:
    """A copy held open anywhere would keep the process from ever seeing the end."""
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True, once=True)
    await world.start("sh", "-c", "sleep 0.2; cat; exit 6", stdio=stdio, container_id=container_id)
    client = await world.attach(container_id, stdin=True)
    await client.write(b"all of it")
    client.half_close()
    await world.repaired()
    world.kill("corten-monitor")
    assert (await world.ended(container_id)).exit_code == 6
    assert await world.log_text(container_id) == b"all of it"


@pytest.mark.parametrize("victims", VICTIMS, ids=["monitor", "launcher", "both"])
async def test_no_exit_status_is_lost(world: World, victims: list[str]) -> None:
    ids = [await world.start("sh", "-c", f"sleep 0.{number}; exit {number}") for number in range(1, 8)]

    async def all_ended() -> list[int]:
        return [(await world.ended(container_id)).exit_code for container_id in ids]

    await kill_while(world, all_ended(), victims)
    assert await all_ended() == list(range(1, 8))


async def test_an_execs_exit_status_is_not_lost(world: World) -> None:
    container_id = await world.start("sleep", "100")
    stream = await world.execute(container_id, "e1", "sh", "-c", "echo before; sleep 0.3; echo after; exit 4")
    await stream.read()
    world.kill("corten-monitor")
    assert (await world.ended(container_id, "e1")).exit_code == 4


async def test_the_daemon_comes_back(world: World) -> None:
    """It is away while one container ends, one runs on and one has a client."""
    ends = await world.start("sh", "-c", "sleep 0.2; echo done; exit 5")
    runs = await world.start("sleep", "100")
    talks = await world.start("sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.05; done; sleep 100")
    client = await world.attach(talks, logs=True, framed=False)
    follower = await world.logs(talks, follow=True)
    await world.monitors.of(runs).pause()
    await world.disconnect()
    assert await client.read_until(b"6\n") == await follower.read_until(b"6\n") == numbers(1, 6)
    await asyncio.sleep(0.2)
    await world.connect()
    live = world.monitors.live()
    assert (live[ends].status, live[ends].exit_code) == ("exited", 5)
    assert (live[runs].status, live[runs].paused) == ("running", True)
    assert live[talks].status == "running"
    assert await world.log_text(ends) == b"done\n"
    await world.monitors.of(runs).resume()
    assert not [event for event in world.events if isinstance(event, Exited)]


async def test_launcher_and_daemon_gone_together(world: World) -> None:
    container_id = await world.start("sh", "-c", "sleep 0.3; echo x; exit 5")
    await world.disconnect()
    world.kill("corten-launcher")
    await asyncio.sleep(0.05)
    await world.connect()
    while (live := world.monitors.live()[container_id]).status == "running":
        await asyncio.sleep(0.01)
    assert live.exit_code == 5
    assert await world.log_text(container_id) == b"x\n"


async def test_launcher_and_monitor_gone_at_once(world: World) -> None:
    """More than is promised: the pipes are lost. The daemon is told that the container is gone, and everything works again."""
    container_id = await world.start("sleep", "100")
    world.kill("corten-launcher")
    world.kill("corten-monitor")
    assert (await world.ended(container_id)).exit_code == UNKNOWN_EXIT
    await world.forget(container_id)
    other = await world.start("sh", "-c", "exit 3")
    assert (await world.ended(other)).exit_code == 3


async def start_or_fail(world: World, container_id: str, stdio: StdioSpec) -> bool:
    try:
        await world.start_as(container_id, stdio, "sh", "-c", "echo x; exit 3")
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("victims", VICTIMS, ids=["monitor", "launcher", "both"])
async def test_a_start_succeeds_or_leaves_nothing(world: World, victims: list[str]) -> None:
    started = []

    async def start_many() -> None:
        for _ in range(20):
            container_id = new_id()
            if await start_or_fail(world, container_id, world.stdio(container_id)):
                started.append(container_id)

    await kill_while(world, start_many(), victims, pause=0.15)
    assert started
    for container_id in started:
        assert (await world.ended(container_id)).exit_code == 3
        assert await world.log_text(container_id) == b"x\n"
        await world.forget(container_id)
    assert world.monitors.live() == {}


async def test_a_monitor_that_dies_young_again_and_again(world: World) -> None:
    """It does not spin, and goes on once it is left alone."""
    container_id = await world.start("sh", "-c", "seq 1 100000; exit 2")
    for _ in range(8):
        world.kill("corten-monitor")
        await asyncio.sleep(0.01)
    assert (await world.ended(container_id)).exit_code == 2
    assert await world.log_text(container_id) == numbers(1, 100_000)
