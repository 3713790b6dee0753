"""What of the NVIDIA driver is on this machine: the module's version, GPUs, device numbers, libraries, programs, firmware. Only looks.

`root` is where the machine's file system begins: "/", or a tree that a test made.
"""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

MODULE = "proc/driver/nvidia/version"
_VERSION = re.compile(r"\b\d{3,}\.\d+(?:\.\d+)?\b")
_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib64/nvidia",
    "lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
    "run/opengl-driver/lib",
)
_PROGRAMS = ("nvidia-smi", "nvidia-debugdump", "nvidia-persistenced", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server")
_SEARCHED = ("usr/bin", "usr/local/bin", "usr/lib/nvidia/current", "run/current-system/sw/bin", "usr/local/nvidia/bin")
_SOCKETS = ("run/nvidia-persistenced/socket",)
_SHARED = {"nvidiactl": ("nvidia-frontend", 255), "nvidia-modeset": ("nvidia-frontend", 254), "nvidia-uvm": ("nvidia-uvm", 0)}
_MORE = {"nvidia-uvm-tools": ("nvidia-uvm", 1)}


@dataclass(frozen=True, slots=True)
class DriverNode:
    """A device node of /dev by name; the numbers are those of the kernel, the node itself need not be there."""

    name: str
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """`nodes`: its own, those of its display side (/dev/dri) among them."""

    uuid: str
    model: str
    nodes: tuple[DriverNode, ...]


@dataclass(frozen=True, slots=True)
class DriverLibrary:
    """A file and the names it is loaded by (its own among them)."""

    path: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Driver:
    """`gpus` in the order of their bus, which is that of their numbers. Paths are the host's, symlinks resolved where a file is meant."""

    version: str
    gpus: tuple[Gpu, ...]
    shared: tuple[DriverNode, ...]
    libraries: tuple[DriverLibrary, ...]
    programs: tuple[str, ...]
    firmware: tuple[str, ...]
    sockets: tuple[str, ...]


def module_version(root: str = "/") -> str:
    """Of the kernel module that is loaded; "" for none."""
    text = _text(root, "sys/module/nvidia/version").strip() or _text(root, MODULE)
    found = _VERSION.search(text)
    return found[0] if found else ""


def read_driver(root: str = "/") -> Driver | None:
    """None where no module is loaded."""
    version = module_version(root)
    if not version:
        return None
    majors = _majors(root)
    return Driver(
        version=version,
        gpus=tuple(_gpus(root, majors)),
        shared=tuple(_shared(root, majors)),
        libraries=tuple(_libraries(root, version)),
        programs=tuple(_programs(root)),
        firmware=tuple(_firmware(root, version)),
        sockets=tuple(f"/{path}" for path in _SOCKETS if os.path.exists(os.path.join(root, path))),
    )


def library_folders(root: str, version: str) -> list[str]:
    """Where libraries of that version lie, each folder once: Debian spreads them over two."""
    found: dict[str, None] = {}
    for folder in (*_FOLDERS, *_configured(root)):
        place = os.path.realpath(os.path.join(root, folder))
        if any(os.path.exists(os.path.join(place, f"{name}.{version}")) for name in ("libcuda.so", "libnvidia-ml.so")):
            found[place] = None
    return list(found)


def other_versions(root: str, version: str) -> list[str]:
    """Of driver libraries that are here and do not fit the module."""
    found = set()
    for folder in dict.fromkeys((*_FOLDERS, *_configured(root))):
        for path in glob.glob(os.path.join(glob.escape(os.path.join(root, folder)), "libcuda.so.*.*")):
            found.add(path.rpartition("libcuda.so.")[2])
    return sorted(found - {version})


def _configured(root: str) -> Iterator[str]:
    """The folders of ld.so.conf and its parts."""
    for path in ("etc/ld.so.conf", *sorted(glob.glob("etc/ld.so.conf.d/*.conf", root_dir=root))):
        for line in _text(root, path).splitlines():
            folder = line.partition("#")[0].strip()
            if folder.startswith("/"):
                yield folder.strip("/")


def _majors(root: str) -> dict[str, int]:
    """Of character devices by their drivers' names (/proc/devices)."""
    characters = _text(root, "proc/devices").partition("Block devices:")[0]
    pairs = (line.split() for line in characters.splitlines())
    return {words[1]: int(words[0]) for words in pairs if len(words) == 2 and words[0].isdecimal()}


def _major(majors: dict[str, int], driver: str) -> int:
    """nvidia-frontend is called nvidia by newer modules; it has always been 195."""
    return majors.get(driver) or (majors.get("nvidia") or 195 if driver == "nvidia-frontend" else 0)


def _shared(root: str, majors: dict[str, int]) -> Iterator[DriverNode]:
    for name, (driver, minor) in (_SHARED | _MORE).items():
        major = _major(majors, driver)
        if major and (driver in majors or os.path.exists(os.path.join(root, "dev", name)) or name == "nvidiactl"):
            yield DriverNode(name, major, minor)


def _gpus(root: str, majors: dict[str, int]) -> Iterator[Gpu]:
    base = os.path.join(root, "proc/driver/nvidia/gpus")
    try:
        places = sorted(os.listdir(base))
    except OSError:
        return
    for place in places:
        lines = _text(root, f"proc/driver/nvidia/gpus/{place}/information").splitlines()
        facts = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
        minor = facts.get("Device Minor", "")
        if minor.isdecimal() and facts.get("GPU Excluded", "No") != "Yes":
            own = DriverNode(f"nvidia{minor}", _major(majors, "nvidia-frontend"), int(minor))
            yield Gpu(facts.get("GPU UUID", ""), facts.get("Model", ""), (own, *_display_nodes(root, place)))


def _display_nodes(root: str, place: str) -> Iterator[DriverNode]:
    """card0 and renderD128 of the GPU at this place of the bus."""
    folder = f"sys/bus/pci/devices/{place}/drm"
    for name in sorted(glob.glob("card*", root_dir=os.path.join(root, folder))) + sorted(
        glob.glob("renderD*", root_dir=os.path.join(root, folder))
    ):
        major, colon, minor = _text(root, f"{folder}/{name}/dev").strip().partition(":")
        if colon and major.isdecimal() and minor.isdecimal():
            yield DriverNode(f"dri/{name}", int(major), int(minor))


def _libraries(root: str, version: str) -> Iterator[DriverLibrary]:
    """All of that version, each with the links that lead to it: what ldconfig and the installer made."""
    names: dict[str, set[str]] = {}
    for base in library_folders(root, version):
        for name in os.listdir(base):
            target = os.path.realpath(os.path.join(base, name)) if name.startswith("lib") and ".so" in name else ""
            if target.endswith(f".so.{version}") and os.path.isfile(target):
                names.setdefault(target, set()).add(name)
    for target, found in sorted(names.items()):
        yield DriverLibrary(_on_host(root, target), tuple(sorted(found)))


def _programs(root: str) -> Iterator[str]:
    for name in _PROGRAMS:
        found = next((p for f in _SEARCHED if os.access(p := os.path.join(root, f, name), os.X_OK)), None)
        if found is not None:
            yield _on_host(root, os.path.realpath(found))


def _firmware(root: str, version: str) -> Iterator[str]:
    """The GPU system processor's, which the driver loads by its path in whichever mount namespace it is asked in."""
    for folder in ("lib/firmware/nvidia", "usr/lib/firmware/nvidia"):
        found = sorted(glob.glob(f"{folder}/{version}/gsp*.bin", root_dir=root))
        if found:
            yield from (f"/{path}" for path in found)
            return


def _on_host(root: str, path: str) -> str:
    return "/" + os.path.relpath(path, os.path.realpath(root))


def _text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


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
