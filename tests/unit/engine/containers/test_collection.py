"""Create, rename, remove, attach."""

from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.containers.create.creation import CreateRequest
from corten.engine.values.container import ContainerConfig, HostConfig, Resources
from corten.errors import Conflict, Invalid, NotFound
from corten.monitor.values import AttachOptions
from tests.unit.engine.world import world

NONE = HostConfig(network_mode="none")
OPTIONS: AttachOptions = {
    "stdin": True,
    "stdout": True,
    "stderr": True,
    "stream": True,
    "logs": False,
    "framed": True,
    "detach_keys": "",
}


async def test_image_and_defaults_are_filled_in(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create("", host=HostConfig(resources=Resources(memory=64 << 20)), env=("A=1",))
        value = w.get(container_id)
        assert "_" in value.name
        assert value.config.env == ("A=1", "PATH=/bin")
        assert value.config.labels == {"from": "image"}
        assert value.config.hostname == container_id[:12]
        assert (value.host.network_mode, value.host.log_config.type, value.host.resources.memory_swap) == ("bridge", "json-file", 128 << 20)
        assert list(value.endpoints) == ["bridge"]


@pytest.mark.parametrize(
    ("name", "config", "host", "text"),
    [
        ("-bad", {}, NONE, "Invalid container name (-bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("ok", {"image": ""}, NONE, "no command specified"),
        ("ok", {"cmd": ()}, NONE, "no command specified"),
        ("ok", {"working_dir": "rel"}, NONE, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ("ok", {"env": ("=x",)}, NONE, "invalid environment variable: =x"),
        ("ok", {"stop_signal": "FOO"}, NONE, "invalid signal: FOO"),
        ("ok", {}, replace(NONE, cap_add=("FOO",)), 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ("ok", {}, replace(NONE, shm_size=-1), "SHM size can not be less than 0"),
        ("ok", {}, replace(NONE, pid_mode="foo"), "invalid PID mode: foo"),
        ("ok", {}, replace(NONE, ipc_mode="foo"), "invalid IPC mode: foo"),
        ("ok", {}, replace(NONE, pid_mode="container:nope"), "No such container: nope"),
        ("ok", {}, replace(NONE, runtime="foo"), "unknown or invalid runtime name: foo"),
        ("ok", {}, replace(NONE, oom_score_adj=5000), "Invalid value 5000, range for oom score adj is [-1000, 1000]"),
        ("ok", {}, replace(NONE, resources=Resources(memory=1000)), "Minimum memory limit allowed is 6MB"),
        (
            "ok",
            {},
            replace(NONE, resources=Resources(nano_cpus=3 * 10**9)),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        ("ok", {}, replace(NONE, resources=Resources(cpuset_cpus="9")), "Requested CPUs are not available - requested 9, available: 0-1"),
        ("ok", {}, replace(NONE, resources=Resources(cpuset_cpus="x")), "Invalid value x for cpuset cpus: invalid format: x"),
    ],
)
async def test_refused(tmp_path: Path, name: str, config: dict[str, object], host: HostConfig, text: str) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(Invalid) as caught:
            await w.create(name, host=host, **config)
        assert caught.value.message == text
        assert not w.engine.services.containers.all()
        assert not w.store.snapshots.keys()


async def test_unknown_image(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(NotFound, match="No such image: nope:latest"):
            await w.create(image="nope")


async def test_a_name_in_use(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.create("web")
        with pytest.raises(Conflict, match=f'The container name "/web" is already in use by container "{first}"'):
            await w.create("web")
        await w.create("other")
        update = w.engine.services.update
        with pytest.raises(Conflict, match=r'Error when allocating new name: Conflict\. The container name "/web"'):
            await update.rename("other", "web")
        with pytest.raises(Invalid, match="Error when allocating new name: Invalid container name"):
            await update.rename("other", "-x")
        with pytest.raises(Invalid, match="same name"):
            await update.rename("other", "other")
        await update.rename("other", "/fresh")
        assert w.get("fresh").name == "fresh"


async def test_warnings(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        request = CreateRequest(
            config=ContainerConfig(image="busybox", cmd=("sh",)), host=replace(NONE, resources=Resources(oom_kill_disable=True))
        )
        created = await w.engine.services.creation.create(request)
        assert len(created.warnings) == 1
        assert created.warnings[0].startswith("OOM killer is disabled")


async def test_remove_a_running_one_needs_force(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.run()
        text = 'cannot remove container "web": container is running: stop the container before removing or force remove'
        with pytest.raises(Conflict, match=text):
            await w.engine.services.removal.remove("web")
        await w.engine.services.removal.remove("web", force=True)
        assert not w.engine.services.containers.all()


async def test_attach_before_the_start(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create(open_stdin=True)
        streams = w.engine.services.streams
        async with streams.attaching("web"):
            await streams.attach("web", OPTIONS, 0)
        assert w.monitors.attached == [(container_id, OPTIONS)]
        await w.engine.services.lifecycle.start("web")
        assert w.get("web").state.status == "running"


async def test_stdin_only_where_it_is_open(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.run(tty=True)
        await w.engine.services.streams.attach("web", OPTIONS, 0)
        assert w.monitors.attached == [(container_id, {**OPTIONS, "stdin": False, "framed": False})]


async def test_list_names_the_image_by_id_once_its_name_moved_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create()
        containers = w.engine.services.containers
        assert containers.image_names([w.get("web")]) == ["busybox"]
        w.store.images.untag(["docker.io/library/busybox:latest"])
        assert containers.image_names([w.get("web")]) == [w.get("web").image_id]


async def test_the_directories_in_inspect(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        container_id = await w.create()
        found = await w.engine.services.containers.inspect("web", size=True)
        assert found.sizes is not None
        assert found.sizes.writable == 0
        assert found.log_path.endswith(f"{container_id}-json.log")
        assert Path(found.driver_data["UpperDir"]).is_dir()


async def test_an_image_for_another_platform(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        config = ContainerConfig(image="busybox", cmd=("sh",))
        create = w.engine.services.creation.create
        with pytest.raises(NotFound, match=r"platform \(linux/amd64\) does not match the specified platform \(linux/arm64\)"):
            await create(CreateRequest(config=config, host=NONE, platform="linux/arm64"))
        await create(CreateRequest(config=config, host=NONE, platform="linux/amd64"))
