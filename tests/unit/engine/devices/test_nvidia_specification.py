"""The driver as a specification, and how `--gpus` is served from it."""

from pathlib import Path

import pytest

from corten.engine.devices.cdi import Spec, parse_spec
from corten.engine.devices.nvidia_specification import PATH, NvidiaSource
from corten.engine.devices.registry import CdiRegistry
from corten.engine.devices.requests import Devices
from corten.engine.values.container import DeviceRequest
from corten.errors import EngineError
from tests.unit.engine.devices.nvidia import machine
from tests.unit.engine.devices.nvidia.machine import UUIDS, VERSION
from tests.unit.engine.devices.test_registry import write

GPU = (("gpu",),)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return machine.whole(tmp_path / "machine")


@pytest.fixture
def devices(root: Path, tmp_path: Path) -> Devices:
    return Devices(CdiRegistry([str(tmp_path / "cdi")], NvidiaSource(str(root))), lambda: "because")


def nodes(devices: Devices, **request: object) -> list[str]:
    edits = devices.edits([DeviceRequest(**request)])  # type: ignore[arg-type]
    assert edits is not None
    return [node.path for node in edits.device_nodes if "/nvidia" in node.path and node.path[-1].isdigit()]


def test_what_a_container_gets(root: Path, devices: Devices) -> None:
    edits = devices.edits([DeviceRequest(count=-1, capabilities=GPU)])
    assert edits is not None
    assert edits.env == ("NVIDIA_VISIBLE_DEVICES=void",)
    assert {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidia1", "/dev/dri/renderD128"} <= {
        n.path for n in edits.device_nodes
    }
    assert ("/usr/bin/nvidia-smi", f"{root}/usr/bin/nvidia-smi") in {(m.container_path, m.host_path) for m in edits.mounts}
    assert {library.name for library in edits.libraries} >= {"libcuda.so.1", f"libcuda.so.{VERSION}", "libnvidia-ml.so.1"}


def test_requests(devices: Devices) -> None:
    assert nodes(devices, count=-1, capabilities=GPU) == ["/dev/nvidia1", "/dev/nvidia0"]
    assert nodes(devices, count=1, capabilities=GPU) == ["/dev/nvidia1"]
    assert nodes(devices, device_ids=("1",), capabilities=GPU) == ["/dev/nvidia0"]
    assert nodes(devices, device_ids=(UUIDS[1], "0"), capabilities=(("nvidia", "compute"),)) == ["/dev/nvidia0", "/dev/nvidia1"]
    assert nodes(devices, driver="nvidia", device_ids=("nvidia.com/gpu=all",)) == ["/dev/nvidia1", "/dev/nvidia0"]
    assert nodes(devices, driver="cdi", device_ids=("nvidia.com/gpu=0",)) == ["/dev/nvidia1"]
    assert nodes(devices, count=0, capabilities=GPU) == []


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (DeviceRequest(count=3, capabilities=GPU), "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=2"),
        (DeviceRequest(count=1, device_ids=("0",), capabilities=GPU), "cannot set both Count and DeviceIDs on device request"),
        (DeviceRequest(count=-1, capabilities=(("tpu",),)), 'could not select device driver "" with capabilities: [[tpu]]'),
        (DeviceRequest(driver="other", capabilities=GPU), 'could not select device driver "other" with capabilities: [[gpu]]'),
    ],
)
def test_requests_that_cannot_be_served(devices: Devices, request_: DeviceRequest, says: str) -> None:
    with pytest.raises(EngineError) as caught:
        devices.edits([request_])
    assert caught.value.message == says


def test_a_file_goes_before_it(devices: Devices, tmp_path: Path) -> None:
    write(tmp_path / "cdi", "nvidia.json", "0", "1", kind="nvidia.com/gpu")
    edits = devices.edits([DeviceRequest(count=-1, capabilities=GPU)])
    assert edits is not None
    assert edits.env == ("FILE=nvidia.json", "0=1", "1=1"), "no `all` in it: all that there are"


def test_amd_by_its_file(tmp_path: Path) -> None:
    devices = Devices(CdiRegistry([str(tmp_path / "cdi")]), lambda: "no GPU here")
    with pytest.raises(EngineError) as caught:
        devices.edits([DeviceRequest(count=-1, capabilities=GPU)])
    assert caught.value.hint == "no GPU here"
    write(tmp_path / "cdi", "amd.json", "0", "all", kind="amd.com/gpu")
    edits = devices.edits([DeviceRequest(count=-1, capabilities=GPU)])
    assert edits is not None
    assert "ALL=1" in edits.env


def test_it_is_seen_anew(root: Path) -> None:
    source = NvidiaSource(str(root))
    first = source()[PATH]
    assert source()[PATH] is first
    (root / "proc/driver/nvidia/version").unlink()
    assert source() == {}
    machine.add_module(root)
    assert [device.name for device in source()[PATH].devices] == ["0", UUIDS[0], "1", UUIDS[1], "all"]


def test_files_cannot_say_it() -> None:
    device = b'{"name": "x", "containerEdits": {"libraries": [{"path": "/a", "name": "b"}]}}'
    text = b'{"cdiVersion": "0.6.0", "kind": "a/b", "devices": [' + device + b"]}"
    with pytest.raises(ValueError, match="unknown field `libraries`"):
        assert isinstance(parse_spec(text, yaml=False), Spec)
