"""Containers from create to removal, over processes that only pretend."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.values.container import HostConfig, RestartPolicy
from corten.errors import Conflict, EngineError, Invalid, NotFound, NotModified
from tests.unit.engine.world import World, world

NONE = HostConfig(network_mode="none")
REMOVED = replace(NONE, auto_remove=True)
ALWAYS = replace(NONE, restart_policy=RestartPolicy(name="always"))


def lifecycle(w: World) -> Lifecycle:
    return w.engine.services.lifecycle


async def test_from_create_to_removal(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create()
        assert w.get("web").state.status == "created"
        await lifecycle(w).start("web")
        state = w.get("web").state
        assert (state.status, state.pid) == ("running", 1001)
        assert w.get("web").endpoints["none"].ip_address == "10.0.0.2"
        w.monitors.exit(container_id, 3)
        await w.tasks.settled()
        assert (w.get("web").state.status, w.get("web").state.exit_code) == ("exited", 3)
        assert w.get("web").endpoints["none"].ip_address == ""
        assert not w.networks.attached
        assert not w.monitors.processes
        await w.engine.services.removal.remove("web")
        with pytest.raises(NotFound, match="No such container: web"):
            w.get("web")
        assert w.actions() == ["create", "start", "die", "destroy"]
        assert w.store.snapshots.keys() == []


async def test_what_the_monitor_is_given(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(hostname="box", tty=True, host=replace(NONE, console_size=(10, 20)))
        ((started_id, start, stdio),) = w.monitors.started
        assert started_id == container_id
        assert stdio["tty"]
        assert stdio["log"] is not None
        assert stdio["log"]["path"] == str(tmp_path / "data" / "containers" / container_id / f"{container_id}-json.log")
        assert start["console_size"] == [10, 20]
        spec = json.loads((Path(start["bundle"]) / "config.json").read_text())
        assert spec["process"]["args"] == ["sh"]
        assert spec["hostname"] == "box"
        assert {"type": "network", "path": "/proc/1/fd/9"} in spec["linux"]["namespaces"]
        folder = tmp_path / "data" / "containers" / container_id
        assert (folder / "hostname").read_text() == "box\n"
        assert (folder / "resolv.conf").read_text() == "nameserver 1.1.1.1\n"


async def test_a_process_that_ends_before_its_start_is_noted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.monitors.instant = 7
        await w.run()
        await w.tasks.settled()
        assert (w.get("web").state.status, w.get("web").state.exit_code) == ("exited", 7)
        assert w.actions() == ["create", "start", "die"]


async def test_with_rm_it_is_gone_when_it_ends(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create(host=REMOVED)
        gone = lifecycle(w).wait("web", "removed")
        await lifecycle(w).start("web")
        w.monitors.exit(w.get("web").id, 4)
        assert (await gone).exit_code == 4
        with pytest.raises(NotFound):
            w.get("web")


async def test_start_twice(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        with pytest.raises(NotModified):
            await lifecycle(w).start("web")


START = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)


@pytest.mark.parametrize(
    ("error", "kind", "code", "text"),
    [
        (
            EngineError('exec: "x": executable file not found in $PATH', reason="exec-not-found"),
            Invalid,
            127,
            START + 'exec: "x": executable file not found in $PATH',
        ),
        (
            EngineError('exec: "/etc": is a directory: permission denied', reason="exec-permission"),
            Invalid,
            126,
            START + 'exec: "/etc": is a directory: permission denied',
        ),
        (EngineError("no such thing"), EngineError, 128, "no such thing"),
        (EngineError("the minimum is 2", reason="cgroup-failed"), EngineError, 128, START + "the minimum is 2"),
        (
            EngineError("/etc/passwd/x: Not a directory", reason="mount-failed"),
            Invalid,
            127,
            START + "/etc/passwd/x: Not a directory: Are you trying to mount a directory onto a file (or vice-versa)? "
            "Check if the specified host path exists and is the expected type",
        ),
    ],
)
async def test_a_start_that_fails(tmp_path: Path, error: EngineError, kind: type[EngineError], code: int, text: str) -> None:
    async with world(tmp_path) as w:
        w.monitors.fails = error
        with pytest.raises(EngineError) as caught:
            await w.run()
        assert type(caught.value) is kind
        assert caught.value.message == text
        state = w.get("web").state
        assert (state.status, state.exit_code, state.error) == ("created", code, text)
        assert not w.networks.attached
        w.monitors.fails = None
        await lifecycle(w).start("web")
        assert w.get("web").state.error == ""


async def test_a_start_that_fails_with_rm(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.monitors.fails = EngineError("no")
        with pytest.raises(EngineError, match="no"):
            await w.run(host=REMOVED)
        with pytest.raises(NotFound):
            w.get("web")


async def test_waiting(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create()
        assert (await lifecycle(w).wait("web", "not-running")).exit_code == 0
        next_exit = lifecycle(w).wait("web", "next-exit")
        await lifecycle(w).start("web")
        running = lifecycle(w).wait("web", "not-running")
        assert not running.done()
        w.monitors.exit(container_id, 5)
        assert (await running).exit_code == (await next_exit).exit_code == 5
        assert (await lifecycle(w).wait("web", "not-running")).exit_code == 5


async def test_who_waits_for_an_exit_that_cannot_come_is_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create()
        waiting = lifecycle(w).wait("web", "next-exit")
        await w.engine.services.removal.remove("web")
        assert (await waiting).exit_code == 0


async def test_stop_asks_first(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        process = w.monitors.of(w.get("web").id)
        await lifecycle(w).stop("web")
        assert process.signals == [15]
        assert w.get("web").state.exit_code == 143
        assert w.actions() == ["create", "start", "kill", "die", "stop"]
        with pytest.raises(NotModified):
            await lifecycle(w).stop("web")


async def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        process = w.monitors.of(w.get("web").id)
        process.deaf = True
        await lifecycle(w).stop("web", timeout=0)
        assert process.signals == [15, 9]
        assert w.get("web").state.exit_code == 137


async def test_the_containers_own_stop_signal_and_time(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run(stop_signal="SIGQUIT", stop_timeout=0)
        process = w.monitors.of(w.get("web").id)
        await lifecycle(w).stop("web")
        assert process.signals == [3, 9]


async def test_stop_wakes_a_paused_container(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        await lifecycle(w).pause("web")
        assert w.get("web").state.status == "paused"
        process = w.monitors.of(w.get("web").id)
        await lifecycle(w).stop("web", timeout=0)
        assert not process.live.paused
        assert w.get("web").state.status == "exited"


async def test_kill(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        await lifecycle(w).kill("web", "USR1")
        assert w.get("web").state.status == "running"
        with pytest.raises(Invalid, match="cannot kill container: web: invalid signal: FOO"):
            await lifecycle(w).kill("web", "FOO")
        await lifecycle(w).kill("web")
        assert w.get("web").state.exit_code == 137
        with pytest.raises(Conflict, match=f"cannot kill container: web: container {container_id} is not running"):
            await lifecycle(w).kill("web")


async def test_restart_keeps_a_container_that_removes_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run(host=REMOVED)
        await lifecycle(w).restart("web", timeout=0)
        assert w.get("web").state.status == "running"
        assert w.actions()[-4:] == ["die", "stop", "start", "restart"]


async def test_a_policy_starts_it_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(host=ALWAYS)
        w.monitors.exit(container_id, 1)
        await asyncio.sleep(0)
        while w.get("web").state.status == "running":
            await asyncio.sleep(0)
        assert w.get("web").state.status == "restarting"
        await w.tasks.settled()
        state = w.get("web").state
        assert (state.status, state.restart_count) == ("running", 1)
        await lifecycle(w).stop("web")
        await w.tasks.settled()
        assert w.get("web").state.status == "exited"


async def test_stop_ends_the_waiting_for_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(host=ALWAYS)
        w.monitors.exit(container_id, 1)
        while w.get("web").state.status != "restarting":
            await asyncio.sleep(0)
        ended = lifecycle(w).wait("web", "not-running")
        await lifecycle(w).stop("web")
        assert (await ended).exit_code == 1
        await w.tasks.settled()
        assert w.get("web").state.status == "exited"
        assert len(w.monitors.started) == 1


async def test_on_failure_gives_up(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.monitors.instant = 1
        policy = RestartPolicy(name="on-failure", maximum_retry_count=1)
        await w.run(host=replace(NONE, restart_policy=policy))
        await w.tasks.settled()
        state = w.get("web").state
        assert (state.status, state.restart_count, len(w.monitors.started)) == ("exited", 1, 2)


async def test_an_oom_kill_is_shown(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        w.monitors.exit(container_id, 137, oom_killed=True)
        await w.tasks.settled()
        assert w.get("web").state.oom_killed


async def test_a_container_in_anothers_namespace(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        owner = await w.run("owner")
        joined = HostConfig(network_mode="container:owner", pid_mode="container:owner")
        await w.run("guest", host=joined)
        spec = json.loads((Path(w.monitors.started[-1][1]["bundle"]) / "config.json").read_text())
        assert {"type": "network", "path": "/proc/1001/ns/net"} in spec["linux"]["namespaces"]
        assert {"type": "pid", "path": "/proc/1001/ns/pid"} in spec["linux"]["namespaces"]
        assert w.get("guest").host.network_mode == f"container:{owner}"
        assert any(m["source"].endswith(f"{owner}/hosts") for m in spec["mounts"])
        await lifecycle(w).stop("owner")
        await lifecycle(w).stop("guest")
        with pytest.raises(Conflict, match="cannot join network namespace of a non running container"):
            await lifecycle(w).start("guest")
