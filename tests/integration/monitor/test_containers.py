"""A container's life as the daemon sees it: start, streams, exec, signals, the end, and nothing left."""

import asyncio
import os
import signal
import socket

import pytest

from corten.errors import Conflict, Invalid, NotFound
from corten.kernel.mount import mount, umount2
from corten.monitor.events import Detached, LogFailed, OomKilled
from corten.monitor.exits import load_exit
from tests.integration.monitor.world import Stream, World, attach_options, demultiplexed, new_id, numbers, open_files

KEYS = b"\x10\x11"


async def test_run(world: World) -> None:
    container_id = await world.start("sh", "-c", "echo out; echo err >&2; printf tail; exit 3")
    over = await world.ended(container_id)
    assert over.exit_code == 3
    assert load_exit(str(world.root / "run/containers" / container_id / "exit.json")) == {
        "exit_code": 3,
        "finished_at": over.finished_at,
        "oom_killed": False,
    }
    live = world.monitors.live()[container_id]
    assert (live.status, live.exit_code) == ("exited", 3)
    assert demultiplexed(await world.log_text(container_id, framed=True)) == (b"out\ntail", b"err\n")
    await world.forget(container_id)
    await world.forget(container_id)
    assert world.monitors.live() == {}


async def test_attached_before_it_starts(world: World) -> None:
    for _ in range(10):
        container_id = new_id()
        stdio = world.stdio(container_id)
        await world.monitors.prepare(container_id, stdio)
        assert world.monitors.live()[container_id].status == "prepared"
        clients = [await world.attach(container_id), await world.attach(container_id, framed=False, stderr=False)]
        await world.start_as(container_id, stdio, "sh", "-c", "echo out; echo err >&2")
        assert demultiplexed(await clients[0].read_all()) == (b"out\n", b"err\n")
        assert await clients[1].read_all() == b"out\n"
        await world.ended(container_id)
        await world.forget(container_id)


async def test_prepared_and_given_up(world: World) -> None:
    container_id = new_id()
    await world.monitors.prepare(container_id, world.stdio(container_id))
    client = await world.attach(container_id)
    await world.forget(container_id)
    assert await client.read_all() == b""


async def test_a_program_that_is_not_there(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id)
    await world.monitors.prepare(container_id, stdio)
    client = await world.attach(container_id)
    with pytest.raises(Invalid, match="executable file not found") as raised:
        await world.start_as(container_id, stdio, "no-such-program")
    assert raised.value.reason == "exec-not-found"
    assert await client.read_all() == b""
    assert world.monitors.live() == {}
    await world.forget(container_id)


async def test_twice(world: World) -> None:
    container_id = await world.start("sleep", "100")
    with pytest.raises(Conflict):
        await world.start("true", container_id=container_id)
    assert world.monitors.live()[container_id].status == "running"
    with pytest.raises(Conflict):
        await world.forget(container_id)


async def test_again_after_it_ended(world: World) -> None:
    container_id = new_id()
    for word in ("one", "two"):
        world.events.clear()
        await world.start("echo", word, container_id=container_id)
        await world.ended(container_id)
        await world.forget(container_id)
    assert await world.log_text(container_id) == b"one\ntwo\n"


async def test_signals(world: World) -> None:
    container_id = await world.start("sh", "-c", "trap 'exit 9' TERM; echo ready; while true; do sleep 0.01; done")
    await (await world.attach(container_id, logs=True, framed=False)).read_until(b"ready\n")
    handle = world.monitors.of(container_id)
    await handle.kill(signal.SIGTERM)
    assert (await world.ended(container_id)).exit_code == 9
    with pytest.raises(Conflict):
        await handle.kill(signal.SIGTERM)
    other = await world.start("sleep", "100")
    await world.monitors.of(other).kill(signal.SIGKILL)
    assert (await world.ended(other)).exit_code == 137


async def test_pause_pids_stats(world: World) -> None:
    container_id = await world.start("sleep", "100")
    handle = world.monitors.of(container_id)
    await handle.pause()
    assert world.monitors.live()[container_id].paused
    await handle.resume()
    assert not world.monitors.live()[container_id].paused
    assert await handle.pids() == [world.monitors.live()[container_id].pid]
    assert (await handle.stats())["pids_current"] == 1
    with pytest.raises(NotFound):
        await world.monitors.of("nobody").pids()


async def test_terminal(world: World) -> None:
    container_id = new_id()
    stdio = world.stdio(container_id, tty=True, stdin=True)
    await world.monitors.prepare(container_id, stdio)
    client = await world.attach(container_id, stdin=True, framed=False)
    spec = {**world.spec(container_id, "sh", "-c", "stty size; read x; stty size; echo [$x]", tty=True), "console_size": [20, 70]}
    await world.monitors.start(container_id, spec, stdio)  # type: ignore[arg-type]
    assert b"20 70\r\n" in await client.read_until(b"\r\n")
    await world.monitors.of(container_id).resize(33, 99)
    await client.write(b"typed\n")
    assert (await client.read_all()).endswith(b"33 99\r\n[typed]\r\n")
    assert (await world.ended(container_id)).exit_code == 0
    assert (await world.log_text(container_id)).endswith(b"[typed]\r\n")


async def test_detach_and_attach_again(world: World) -> None:
    container_id = await world.start("cat", stdio=world.stdio(id_ := new_id(), tty=True, stdin=True), container_id=id_)
    first = await world.attach(container_id, stdin=True, framed=False)
    await first.write(b"one\n")
    await first.read_until(b"one\r\none\r\n")
    await first.write(KEYS[:1])
    await first.write(KEYS[1:])
    assert await first.read_all() == b""
    async with asyncio.timeout(10):  # the client's stream and the event come by two ways
        while Detached(container_id, None) not in world.events:
            await asyncio.sleep(0.01)
    second = await world.attach(container_id, stdin=True, framed=False, detach_keys="a,b", logs=True)
    await second.write(b"two\n")
    assert await second.read_until(b"two\r\ntwo\r\n") == b"one\r\none\r\ntwo\r\ntwo\r\n"
    await second.write(b"xab")
    await second.read_all()
    assert world.monitors.live()[container_id].status == "running"


async def test_half_close_ends_stdin_once(world: World) -> None:
    container_id = new_id()
    await world.start("cat", stdio=world.stdio(container_id, stdin=True, once=True), container_id=container_id)
    client = await world.attach(container_id, b"initial ", stdin=True)
    await client.write(b"typed")
    client.half_close()
    assert demultiplexed(await client.read_all()) == (b"initial typed", b"")
    assert (await world.ended(container_id)).exit_code == 0


async def test_stdin_that_stays_open(world: World) -> None:
    container_id = new_id()
    await world.start("cat", stdio=world.stdio(container_id, stdin=True), container_id=container_id)
    for word in (b"one", b"two"):
        client = await world.attach(container_id, stdin=True, framed=False)
        await client.write(word)
        assert await client.read_until(word) == word
        client.close()
    assert world.monitors.live()[container_id].status == "running"


async def test_everything_typed_before_a_client_vanished_counts(world: World) -> None:
    """More than the pipe holds, to a program that is slow to read."""
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True, once=True)
    await world.start("sh", "-c", "sleep 0.3; cat", stdio=stdio, container_id=container_id)
    client = await world.attach(container_id, stdin=True, stdout=False, stderr=False)
    await client.write(numbers(1, 30000))
    client.close()
    assert (await world.ended(container_id)).exit_code == 0
    assert await world.log_text(container_id) == numbers(1, 30000)


async def test_exec(world: World) -> None:
    container_id = await world.start("sleep", "100")
    stream = await world.execute(container_id, "e1", "sh", "-c", "cat; echo err >&2; exit 4", stdin=True)
    await stream.write(b"in")
    stream.half_close()
    assert demultiplexed(await stream.read_all()) == (b"in", b"err\n")
    assert (await world.ended(container_id, "e1")).exit_code == 4
    assert world.monitors.live()[container_id].execs["e1"].exit_code == 4


async def test_an_execs_end_is_known_before_its_stream_ends(world: World) -> None:
    """The client asks for the exit code as soon as it sees the end."""
    container_id = await world.start("sleep", "100")
    for number in range(20):
        stream = await world.execute(container_id, f"e{number}", "true")
        await stream.read_all()
        for _ in range(2):  # a real client's question comes by way of the loop, behind what is ready already
            await asyncio.sleep(0)
        assert world.monitors.live()[container_id].execs[f"e{number}"].exit_code == 0


async def test_exec_with_a_terminal(world: World) -> None:
    container_id = await world.start("sleep", "100")
    stream = await world.execute(container_id, "e1", "sh", "-c", "read x; stty size", tty=True, stdin=True, framed=False)
    await world.monitors.of(container_id).resize(44, 111, exec_id="e1")
    await stream.write(b"\n")
    assert (await stream.read_all()).endswith(b"44 111\r\n")


async def test_exec_that_nobody_listens_to(world: World) -> None:
    container_id = await world.start("sleep", "100")
    await world.monitors.exec_start(
        container_id, "e1", world.process("sh", "-c", "readlink /proc/self/fd/1; exit 5"), options=attach_options()
    )
    assert (await world.ended(container_id, "e1")).exit_code == 5


async def test_exec_of_what_is_not_there_leaves_the_client_to_the_daemon(world: World) -> None:
    """The daemon writes the error into the stream."""
    container_id = await world.start("sleep", "100")
    ours, theirs = socket.socketpair()
    options, process = attach_options(), world.process("no-such-program")
    with ours, theirs:
        with pytest.raises(Invalid):
            await world.monitors.exec_start(container_id, "e1", process, options=options, sock_fd=theirs.fileno())
        theirs.sendall(b"error")
        assert ours.recv(99) == b"error"
    with pytest.raises(NotFound):
        await world.monitors.of(container_id).kill_exec("e1", 9)


async def test_an_exec_whose_children_keep_its_output_open_ends_all_the_same(world: World) -> None:
    container_id = await world.start("sleep", "100")
    stream = await world.execute(container_id, "e1", "sh", "-c", "sleep 50 & echo started")
    assert demultiplexed(await stream.read_all()) == (b"started\n", b"")
    assert (await world.ended(container_id, "e1")).exit_code == 0


async def test_many_to_a_monitor_and_several_monitors(world: World) -> None:
    ids = await asyncio.gather(*(world.start("sleep", "100") for _ in range(20)))
    assert len(world.pids("corten-monitor")) >= 2
    assert {live.status for live in world.monitors.live().values()} == {"running"}
    assert len(set(ids)) == 20


async def test_no_descriptor_is_left(world: World) -> None:
    async def one() -> None:
        container_id = new_id()
        stdio = world.stdio(container_id, stdin=True)
        await world.monitors.prepare(container_id, stdio)
        client = await world.attach(container_id, stdin=True)
        await world.start_as(container_id, stdio, "sh", "-c", "echo x; read y")
        await (await world.execute(container_id, "e1", "echo", "y")).read_all()
        await (await world.execute(container_id, "e2", "echo", "y", tty=True, framed=False)).read_all()
        with pytest.raises(Invalid):
            await world.execute(container_id, "e3", "no-such-program")
        await client.write(b"\n")
        await client.read_all()
        await world.ended(container_id)
        await world.log_text(container_id)
        await world.forget(container_id)
        tty = world.stdio(container_id, tty=True)
        world.events.clear()
        await world.start("echo", "z", stdio=tty, container_id=container_id)
        await world.ended(container_id)
        await world.forget(container_id)

    def count() -> dict[int, int]:
        return {pid: open_files(pid) for pid in (*world.pids("corten-monitor"), *world.pids("corten-launcher"), os.getpid())}

    await one()
    await asyncio.sleep(0.05)
    before = count()
    for _ in range(5):
        await one()
    await asyncio.sleep(0.05)
    assert count() == before


@pytest.mark.privileged
async def test_killed_for_memory(real_world: World) -> None:
    world = real_world
    container_id = new_id()
    limits = {"memory": {"limit": 20_000_000, "swap": 20_000_000}}
    spec = world.spec(container_id, "tail", "-c", "200000000", "/dev/zero", resources=limits)
    await world.monitors.start(container_id, spec, world.stdio(container_id))
    over = await world.ended(container_id)
    assert (over.exit_code, over.oom_killed) == (137, True)
    assert OomKilled(container_id) in world.events


async def test_a_client_on_tcp_reads_to_the_end(world: World) -> None:
    """Input that nobody reads any more would reset the connection, and destroy output that is still under way."""
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True)
    await world.monitors.prepare(container_id, stdio)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            await world.monitors.attach(container_id, attach_options(stdin=True), theirs.fileno())
        await world.start_as(container_id, stdio, "sh", "-c", "sleep 0.1; seq 1 30000")
        client = Stream(ours)
        await client.write(b"x" * 200_000)
        await world.ended(container_id)
        await client.write(b"more")
        await asyncio.sleep(0.05)
        assert demultiplexed(await client.read_all()) == (numbers(1, 30000), b"")


@pytest.mark.privileged
async def test_a_full_disk_is_reported_once_and_the_container_goes_on(real_world: World) -> None:
    world = real_world
    container_id = new_id()
    stdio = world.stdio(container_id, stdin=True)
    folder = world.root / "data" / container_id
    mount("tmpfs", str(folder), "tmpfs", 0, "size=256k")
    try:
        filler = folder / "filler"
        filler.write_bytes(bytes(256 << 10))
        await world.monitors.prepare(container_id, stdio)
        client = await world.attach(container_id, stdin=True, framed=False)
        await world.start_as(container_id, stdio, "sh", "-c", "seq 1 20000; read line; echo after; exit 4")
        assert await client.read_until(b"\n20000\n") == numbers(1, 20000), "what the log lacks, clients have"
        async with asyncio.timeout(10):
            while not any(isinstance(event, LogFailed) for event in world.events):
                await asyncio.sleep(0.01)
        filler.unlink()
        await client.write(b"go on\n")
        assert (await world.ended(container_id)).exit_code == 4
        (failed,) = [event for event in world.events if isinstance(event, LogFailed)]
        assert "No space left" in failed.message
        kept = await world.log_text(container_id)
        written = iter([*numbers(1, 20000).splitlines(keepends=True), b"after\n"])
        assert kept.endswith(b"after\n")
        assert all(line in written for line in kept.splitlines(keepends=True)), "in their order, none torn"
    finally:
        await world.forget(container_id)
        umount2(str(folder), 0)
