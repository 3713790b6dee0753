"""A machine with an NVIDIA driver, as files: what its kernel, installer and ldconfig would have made."""

from pathlib import Path

VERSION = "550.54.14"
UUIDS = ("GPU-11111111-aaaa-bbbb-cccc-000000000000", "GPU-22222222-aaaa-bbbb-cccc-000000000000")
LIBRARIES = {"libcuda": ("libcuda.so.1", "libcuda.so"), "libnvidia-ml": ("libnvidia-ml.so.1",), "libnvidia-gpucomp": ()}
NVRM = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {VERSION}  Release Build  (builder@host)  Thu Feb 22 01:25:25 UTC 2024\n"
DEVICES = "Character devices:\n  1 mem\n195 nvidia-frontend\n511 nvidia-uvm\n\nBlock devices:\n  8 sd\n195 other\n"


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def add_gpu(root: Path, number: int) -> None:
    """On bus 7 and up, the later the higher; its minor is the other way round."""
    place = f"0000:0{7 + number}:00.0"
    facts = f"Model: \t\t NVIDIA A100\nGPU UUID: \t {UUIDS[number]}\nDevice Minor: \t {1 - number}\nGPU Excluded:\t No\n"
    write(root, f"proc/driver/nvidia/gpus/{place}/information", facts)
    write(root, f"sys/bus/pci/devices/{place}/drm/renderD{128 + number}/dev", f"226:{128 + number}\n")
    write(root, f"sys/bus/pci/devices/{place}/vendor", "0x10de\n")
    write(root, f"sys/bus/pci/devices/{place}/class", "0x030200\n")


def add_module(root: Path) -> None:
    write(root, "proc/driver/nvidia/version", NVRM)
    write(root, "proc/devices", DEVICES)


def add_libraries(root: Path, folder: str = "usr/lib/x86_64-linux-gnu", version: str = VERSION) -> None:
    for name, links in LIBRARIES.items():
        write(root, f"{folder}/{name}.so.{version}", f"{name}\n")
        target = f"{name}.so.{version}"
        for link in links:
            (root / folder / link).symlink_to(target)
            target = link
    write(root, f"{folder}/libother.so.1.2", "not the driver's\n")


def add_programs(root: Path) -> None:
    write(root, "usr/bin/nvidia-smi", "#!/bin/sh\necho the driver speaks\n")
    (root / "usr/bin/nvidia-smi").chmod(0o755)
    write(root, "usr/bin/nvidia-settings", "not wanted")


def whole(root: Path) -> Path:
    add_module(root)
    for number in range(2):
        add_gpu(root, number)
    add_libraries(root)
    add_programs(root)
    write(root, f"lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin", "firmware")
    return root
