"""Logs read and followed, and a client that joins in the middle."""

import asyncio
import gzip
import time
from pathlib import Path

import pytest

from corten.monitor.logs.timestamp import fixed
from tests.integration.monitor.world import World, demultiplexed, new_id, numbers

ENDLESS = "i=0; while true; do i=$((i+1)); echo $i; done"


async def test_of_a_container_that_is_over(world: World) -> None:
    container_id = await world.start("sh", "-c", "seq 1 1000; seq 1 10 >&2")
    await world.ended(container_id)
    out, err = demultiplexed(await world.log_text(container_id, framed=True))
    assert (out, err) == (numbers(1, 1000), numbers(1, 10))
    assert await world.log_text(container_id, stdout=False) == numbers(1, 10)
    assert len((await world.log_text(container_id, tail=5)).splitlines()) == 5
    await world.forget(container_id)
    assert await world.log_text(container_id, stderr=False, follow=True) == numbers(1, 1000)


async def test_chunked_as_http_wants_it(world: World) -> None:
    container_id = await world.start("echo", "x")
    await world.ended(container_id)
    assert await world.log_text(container_id, chunked=True) == b"2\r\nx\n\r\n0\r\n\r\n"
    assert await world.log_text("nobody", world.log("nobody"), chunked=True) == b"0\r\n\r\n"


async def test_times(world: World) -> None:
    container_id = await world.start("sh", "-c", "echo one; sleep 0.3; echo two")
    await (await world.logs(container_id, follow=True)).read_until(b"one\n")
    between = time.time_ns() + 50_000_000
    await world.ended(container_id)
    assert await world.log_text(container_id, since_ns=between) == b"two\n"
    assert await world.log_text(container_id, until_ns=between) == b"one\n"
    stamped = await world.log_text(container_id, timestamps=True, since_ns=between)
    assert stamped.endswith(b"Z two\n")
    assert fixed(between).encode() < stamped[:30] < fixed(time.time_ns()).encode()


async def test_follow_to_the_end(world: World) -> None:
    container_id = await world.start("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done; printf end")
    for tail, expected in ((-1, b"1\n2\n3\nend"), (0, b"")):
        stream = await world.logs(container_id, follow=True, tail=tail)
        text = await stream.read_all()
        assert text == expected or (tail == 0 and text)
    await world.ended(container_id)


async def test_a_slow_follower_misses_nothing_that_is_rotated_away(world: World) -> None:
    """Everything is written, and most files deleted, before the client has read the first."""
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True, max_size=100_000, max_file=3)
    script = "read x; for i in 0 1 2 3 4 5 6 7 8 9; do seq ${i}1001 ${i}3000; sleep 0.03; done"
    await world.start("sh", "-c", script, stdio=stdio, container_id=container_id)
    stream = await world.logs(container_id, stdio["log"], follow=True)
    client = await world.attach(container_id, stdin=True)
    await client.write(b"go\n")
    await world.ended(container_id)
    while "93000" not in (world.root / "data" / container_id / "json.log").read_text():
        await asyncio.sleep(0.01)
    expected = b"".join(numbers(i * 10000 + 1001, i * 10000 + 3000) for i in range(10))
    assert await stream.read_all() == expected
    assert len(await world.log_text(container_id, stdio["log"])) < len(expected) / 2


async def test_a_follower_that_goes_away(world: World) -> None:
    container_id = await world.start("sleep", "100")
    stream = await world.logs(container_id, follow=True)
    assert len(world.pids("corten-logs") or [0]) == 1
    stream.close()
    for _ in range(100):
        if not readers(world, container_id):
            return
        await asyncio.sleep(0.01)
    pytest.fail("the reader stays")


def readers(world: World, container_id: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if line.startswith(b"corten-logs") and container_id.encode() in line:
            found.append(int(entry.name))
    return found


async def test_a_client_that_joins_gets_every_byte_once(world: World) -> None:
    """`logs` and `stream`: the log up to now, then the stream, while the process writes as fast as it can."""
    container_id = await world.start("sh", "-c", ENDLESS)
    for _ in range(5):
        client = await world.attach(container_id, logs=True, framed=False)
        text = b""
        while len(text) < 300_000:
            text += await client.read()
        client.close()
        whole = text[: text.rfind(b"\n") + 1]
        assert whole == numbers(1, whole.count(b"\n"))


async def test_a_client_that_joins_within_a_line(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True)
    await world.start("sh", "-c", "echo one; printf tw; read x; echo o; printf three", stdio=stdio, container_id=container_id)
    await (await world.attach(container_id, logs=True, framed=False)).read_until(b"tw")
    second = await world.attach(container_id, logs=True, stdin=True, framed=False)
    assert await second.read_until(b"tw") == b"one\ntw"
    await second.write(b"\n")
    assert await second.read_all() == b"o\nthree"


async def test_the_log_alone(world: World) -> None:
    container_id = await world.start("sh", "-c", "echo one; sleep 100")
    await (await world.logs(container_id, follow=True)).read_until(b"one\n")
    assert demultiplexed(await (await world.attach(container_id, logs=True, stream=False)).read_all()) == (b"one\n", b"")


async def test_no_log(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id) | {"log": None}
    await world.monitors.prepare(container_id, stdio)
    client = await world.attach(container_id, logs=True)
    await world.start_as(container_id, stdio, "echo", "x")
    assert demultiplexed(await client.read_all()) == (b"x\n", b"")
    await world.ended(container_id)


async def test_rotated_files_are_gzipped(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, max_size=100_000, max_file=50, compress=True)
    await world.start("sh", "-c", "seq 1 30000; sleep 100", stdio=stdio, container_id=container_id)
    folder = world.root / "data" / container_id
    for _ in range(500):
        names = {path.name for path in folder.iterdir()}
        if len(names) > 10 and all(name == "json.log" or name.endswith(".gz") for name in names):
            break
        await asyncio.sleep(0.01)
    assert "json.log.3.gz" in names
    assert b'"stream":"stdout"' in gzip.decompress((folder / "json.log.3.gz").read_bytes())
    assert await world.log_text(container_id, stdio["log"]) == numbers(1, 30000)
    assert await world.log_text(container_id, stdio["log"], tail=20000) == numbers(10001, 30000)


async def test_a_slow_client_holds_the_process_and_loses_nothing(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id)
    await world.monitors.prepare(container_id, stdio)
    slow, fast = await world.attach(container_id), await world.attach(container_id)
    await world.start_as(container_id, stdio, "sh", "-c", "seq 1 500000")
    await asyncio.sleep(0.3)
    assert world.monitors.live()[container_id].status == "running"
    both = await asyncio.gather(slow.read_all(), fast.read_all())
    assert [demultiplexed(text)[0] for text in both] == [numbers(1, 500000)] * 2
    assert (await world.ended(container_id)).exit_code == 0
    assert await world.log_text(container_id) == numbers(1, 500000)


async def test_a_client_that_never_reads_does_not_hold_up_the_end(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id)
    await world.monitors.prepare(container_id, stdio)
    stuck = await world.attach(container_id)
    await world.start_as(container_id, stdio, "sh", "-c", "seq 1 60000; exit 3")
    assert (await world.ended(container_id)).exit_code == 3
    await world.forget(container_id)
    assert demultiplexed(await stuck.read_all())[0] == numbers(1, 60000)


async def test_a_client_that_vanishes_does_not_hold_up_the_process(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id)
    await world.monitors.prepare(container_id, stdio)
    vanishing = await world.attach(container_id)
    await world.start_as(container_id, stdio, "sh", "-c", "seq 1 400000")
    await vanishing.read()
    vanishing.close()
    assert (await world.ended(container_id)).exit_code == 0
    assert await world.log_text(container_id) == numbers(1, 400000)


@pytest.mark.slow
async def test_a_million_short_lines(world: World) -> None:
    """Through attach, logs and a follower, at once."""
    container_id = new_id()
    stdio = world.stdio(container_id, max_size=10_000_000, max_file=10)
    await world.monitors.prepare(container_id, stdio)
    client = await world.attach(container_id, stdin=True)
    await world.start_as(container_id, {**stdio, "open_stdin": True}, "sh", "-c", "seq 1 1000000")
    follower = await world.logs(container_id, stdio["log"], follow=True)
    attached, followed = await asyncio.gather(client.read_all(), follower.read_all())
    expected = numbers(1, 1_000_000)
    assert demultiplexed(attached)[0] == expected
    assert followed == expected
    assert await world.log_text(container_id, stdio["log"]) == expected
    await world.ended(container_id)
