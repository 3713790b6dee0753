"""New limits and policies for containers."""

from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.containers.update import merged_resources
from corten.engine.values.container import HostConfig, Resources, RestartPolicy
from corten.errors import Conflict, Invalid
from tests.unit.engine.world import world

MB = 1 << 20


@pytest.mark.parametrize(
    ("present", "wanted", "result"),
    [
        (Resources(cpu_shares=5), Resources(memory=64 * MB), Resources(cpu_shares=5, memory=64 * MB, memory_swap=128 * MB)),
        (Resources(memory_swap=-1), Resources(memory=64 * MB), Resources(memory=64 * MB, memory_swap=-1)),
        (Resources(cpu_quota=5000, cpu_period=9000), Resources(nano_cpus=10**9), Resources(nano_cpus=10**9)),
        (Resources(nano_cpus=10**9), Resources(cpu_quota=5000), Resources(cpu_quota=5000)),
        (Resources(cgroup_parent="a"), Resources(cgroup_parent="b", pids_limit=3), Resources(cgroup_parent="a", pids_limit=3)),
    ],
)
def test_merge(present: Resources, wanted: Resources, result: Resources) -> None:
    assert merged_resources(present, wanted, container_id="c") == result


async def test_a_running_container_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run()
        await w.engine.services.update.update("web", Resources(memory=64 * MB), RestartPolicy(name="always"))
        assert w.monitors.of(container_id).resources["memory"]["limit"] == 64 * MB
        assert w.get("web").host.restart_policy.name == "always"
        assert w.get("web").host.resources.memory == 64 * MB
        assert w.actions()[-1] == "update"


async def test_refusals_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create(host=HostConfig(network_mode="none", auto_remove=True, resources=Resources(memory=64 * MB)))
        before = w.get("web")
        update = w.engine.services.update.update
        with pytest.raises(Invalid, match="Minimum memory limit allowed is 6MB"):
            await update("web", Resources(memory=1), None)
        with pytest.raises(Conflict, match="Memory limit should be smaller than already set memoryswap limit"):
            await update("web", Resources(memory=512 * MB), None)
        with pytest.raises(Conflict, match="Restart policy cannot be updated because AutoRemove is enabled"):
            await update("web", Resources(), RestartPolicy(name="always"))
        assert w.get("web") == before
        await update("web", Resources(pids_limit=7), replace(RestartPolicy(), name="no"))
        assert w.get("web").host.resources.pids_limit == 7
