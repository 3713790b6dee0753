"""Why there is no GPU to be had here, as one sentence that says what to do."""

import os

from corten.engine.devices.nvidia_driver import library_folders, module_version, other_versions, read_driver

_VENDOR, _DISPLAY = "0x10de", ("0x0300", "0x0302", "0x0380")


def diagnosis(root: str = "/") -> str:
    """The first thing that is missing, from the hardware up."""
    version = module_version(root)
    if not version:
        return _without_module(root)
    driver = read_driver(root)
    if driver is None or not driver.gpus:
        return f"the NVIDIA driver {version} is loaded and has found no GPU: see `dmesg | grep NVRM`"
    if not library_folders(root, version):
        others = other_versions(root, version)
        if others:
            return f"the NVIDIA driver is {version}, its libraries are {', '.join(others)}: load the module of that version, or restart"
        return f"the NVIDIA driver {version} is loaded, its libraries (libcuda.so.{version}) are not installed"
    return ""


def _without_module(root: str) -> str:
    if _has_gpu(root):
        return "there is an NVIDIA GPU and no driver: install the driver, or load it with `modprobe nvidia`"
    return "this machine has no NVIDIA GPU, and no CDI specification describes another"


def _has_gpu(root: str) -> bool:
    base = os.path.join(root, "sys/bus/pci/devices")
    try:
        places = os.listdir(base)
    except OSError:
        return False
    return any(_line(base, place, "vendor") == _VENDOR and _line(base, place, "class").startswith(_DISPLAY) for place in places)


def _line(base: str, place: str, name: str) -> str:
    try:
        with open(os.path.join(base, place, name), encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
