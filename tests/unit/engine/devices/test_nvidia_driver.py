"""A driver as it is found, and what a machine without one is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from corten.engine.devices.nvidia_driver import DriverLibrary, DriverNode, diagnosis, module_version, read_driver
from tests.unit.engine.devices.nvidia import machine
from tests.unit.engine.devices.nvidia.machine import UUIDS, VERSION, write


def test_everything(tmp_path: Path) -> None:
    driver = read_driver(str(machine.whole(tmp_path)))
    assert driver is not None
    assert driver.version == VERSION
    assert [(gpu.uuid, gpu.nodes) for gpu in driver.gpus] == [
        (UUIDS[0], (DriverNode("nvidia1", 195, 1), DriverNode("dri/renderD128", 226, 128))),
        (UUIDS[1], (DriverNode("nvidia0", 195, 0), DriverNode("dri/renderD129", 226, 129))),
    ]
    assert driver.shared == (
        DriverNode("nvidiactl", 195, 255),
        DriverNode("nvidia-modeset", 195, 254),
        DriverNode("nvidia-uvm", 511, 0),
        DriverNode("nvidia-uvm-tools", 511, 1),
    )
    folder = "/usr/lib/x86_64-linux-gnu"
    assert driver.libraries == (
        DriverLibrary(f"{folder}/libcuda.so.{VERSION}", ("libcuda.so", "libcuda.so.1", f"libcuda.so.{VERSION}")),
        DriverLibrary(f"{folder}/libnvidia-gpucomp.so.{VERSION}", (f"libnvidia-gpucomp.so.{VERSION}",)),
        DriverLibrary(f"{folder}/libnvidia-ml.so.{VERSION}", ("libnvidia-ml.so.1", f"libnvidia-ml.so.{VERSION}")),
    )
    assert driver.programs == ("/usr/bin/nvidia-smi",)
    assert driver.firmware == (f"/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin",)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n", "535.104.05"),
        (machine.NVRM, VERSION),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82  x", "470.82"),
        ("nonsense 1.2", ""),
    ],
)
def test_versions(tmp_path: Path, text: str, version: str) -> None:
    write(tmp_path, "proc/driver/nvidia/version", text)
    assert module_version(str(tmp_path)) == version


def test_libraries_where_ldconfig_looks(tmp_path: Path) -> None:
    machine.add_module(tmp_path)
    write(tmp_path, "etc/ld.so.conf.d/gpu.conf", "# ours\n/opt/gpu/lib  # here\nrelative\n")
    machine.add_libraries(tmp_path, "opt/gpu/lib")
    machine.add_libraries(tmp_path, "usr/lib64", "470.1")
    driver = read_driver(str(tmp_path))
    assert driver is not None
    assert driver.libraries[0].path == f"/opt/gpu/lib/libcuda.so.{VERSION}"


def test_hostile_trees(tmp_path: Path) -> None:
    """Links round and out, folders for files, garbage: nothing raises."""
    machine.add_module(tmp_path)
    gpus = "proc/driver/nvidia/gpus"
    write(tmp_path, f"{gpus}/0000:01:00.0/information", "Device Minor: x\n:::\n\x00")
    (tmp_path / gpus / "0000:02:00.0").mkdir()
    write(tmp_path, f"{gpus}/0000:03:00.0/information", "Device Minor: 3\nGPU Excluded: Yes\n")
    machine.add_libraries(tmp_path)
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    (folder / "libloop.so.1").symlink_to("libloop.so.1")
    (folder / f"libfolder.so.{VERSION}").mkdir()
    driver = read_driver(str(tmp_path))
    assert driver is not None
    assert (driver.gpus, len(driver.libraries)) == ((), 3)


def _no_module(root: Path) -> None:
    machine.add_gpu(root, 0)
    (root / "proc/driver/nvidia/gpus").rename(root / "gone")


def _no_libraries(root: Path) -> None:
    machine.add_module(root)
    machine.add_gpu(root, 0)


def _old_libraries(root: Path) -> None:
    _no_libraries(root)
    machine.add_libraries(root, version="470.199.02")


def _nothing(root: Path) -> None:
    write(root, "sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_nothing, "this machine has no NVIDIA GPU"),
        (_no_module, "there is an NVIDIA GPU and no driver"),
        (machine.add_module, f"the NVIDIA driver {VERSION} is loaded and has found no GPU"),
        (_no_libraries, f"its libraries (libcuda.so.{VERSION}) are not installed"),
        (_old_libraries, f"the NVIDIA driver is {VERSION}, its libraries are 470.199.02"),
    ],
)
def test_five_broken_machines(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path)
    assert says in diagnosis(str(tmp_path))


def test_a_whole_machine_has_nothing_wrong(tmp_path: Path) -> None:
    assert diagnosis(str(machine.whole(tmp_path))) == ""
