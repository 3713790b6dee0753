"""The daemon started again over what the last one left."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.values.container import HostConfig, RestartPolicy
from corten.errors import NotFound
from tests.unit.engine.world import FakeMonitors, world

NONE = HostConfig(network_mode="none")


def with_policy(name: str) -> HostConfig:
    return replace(NONE, restart_policy=RestartPolicy(name=name))  # type: ignore[arg-type]


async def test_what_runs_runs_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        monitors, pid = w.monitors, w.get("web").state.pid
    async with world(tmp_path, monitors) as w:
        assert (w.get("web").state.status, w.get("web").state.pid) == ("running", pid)
        w.monitors.exit(container_id, 6)
        await w.tasks.settled()
        assert w.get("web").state.exit_code == 6


async def test_an_end_that_nobody_noted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        await w.run("gone", host=replace(NONE, auto_remove=True))
        gone = w.get("gone").id
        monitors = w.monitors
    monitors.exit(container_id, 6)
    monitors.exit(gone, 0)
    async with world(tmp_path, monitors) as w:
        assert (w.get("web").state.status, w.get("web").state.exit_code) == ("exited", 6)
        with pytest.raises(NotFound):
            w.get("gone")


async def test_a_start_that_the_daemon_did_not_live_to_note(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create()
        monitors = w.monitors
    await monitors.start(container_id, {"bundle": "", "state_root": "", "root_mounts": []}, {})  # type: ignore[typeddict-item]
    async with world(tmp_path, monitors) as w:
        assert w.get("web").state.status == "running"
        assert w.get("web").state.started_at == monitors.of(container_id).live.started_at


async def test_after_a_reboot(tmp_path: Path) -> None:
    policies = ("no", "always", "unless-stopped", "on-failure")
    async with world(tmp_path) as w:
        for policy in policies:
            await w.run(policy, host=with_policy(policy))
            await w.run(f"{policy}-stopped", host=with_policy(policy))
            await w.engine.services.lifecycle.stop(f"{policy}-stopped")
        await w.create("never-ran", host=with_policy("always"))
    async with world(tmp_path, FakeMonitors()) as w:
        await w.tasks.settled()
        up = {c.name for c in w.engine.services.containers.all() if c.state.status == "running"}
        assert up == {"always", "always-stopped", "unless-stopped", "on-failure"}
        assert w.get("no").state.exit_code == 255


async def test_the_exit_code_that_the_monitor_wrote_down(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        started_at = w.get("web").state.started_at
    bundle = tmp_path / "run" / "containers" / container_id
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "exit.json").write_text(json.dumps({"exit_code": 9, "finished_at": started_at + 5, "oom_killed": True}))
    async with world(tmp_path, FakeMonitors()) as w:
        state = w.get("web").state
        assert (state.exit_code, state.finished_at, state.oom_killed) == (9, started_at + 5, True)


async def test_what_runs_without_a_container_is_ended(tmp_path: Path) -> None:
    monitors = FakeMonitors()
    await monitors.start("f" * 64, {"bundle": "", "state_root": "", "root_mounts": []}, {})  # type: ignore[typeddict-item]
    async with world(tmp_path, monitors) as w:
        assert not w.monitors.processes


async def test_files_without_a_container_are_swept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create()
        w.store.snapshots.prepare("e" * 64, ())
        w.store.snapshots.prepare("build-1", ())
        (tmp_path / "data" / "containers" / ("e" * 64)).mkdir()
    async with world(tmp_path) as w:
        assert set(w.store.snapshots.keys()) == {w.get("web").id, "build-1"}
        assert [p.name for p in (tmp_path / "data" / "containers").iterdir()] == [w.get("web").id]


async def test_a_pause_that_the_daemon_did_not_live_to_note(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        monitors = w.monitors
    await monitors.of(container_id).pause()
    async with world(tmp_path, monitors) as w:
        assert w.get("web").state.status == "paused"
        await w.engine.services.lifecycle.unpause("web")


@pytest.mark.parametrize("policy", ["unless-stopped", "always"])
async def test_an_end_that_was_noted_but_not_cleaned_up(tmp_path: Path, policy: str) -> None:
    """It is not noted a second time: no event, and no restart that its policy does not want."""
    async with world(tmp_path) as w:
        container_id = await w.run(host=with_policy(policy))
        await w.engine.services.lifecycle.stop("web")
        await w.tasks.settled()
        before = w.get("web").state
        monitors = w.monitors
    await monitors.prepare(container_id, {})  # type: ignore[typeddict-item]
    process = monitors.need(container_id)
    process.live = replace(process.live, status="exited", started_at=before.started_at, exit_code=before.exit_code, finished_at=1)
    async with world(tmp_path, monitors) as w:
        await w.tasks.settled()
        assert "die" not in w.actions()
        if policy == "always":
            assert w.get("web").state.status == "running"
        else:
            assert w.get("web").state == before
            assert not w.monitors.processes
