"""The driver as a CDI specification of kind nvidia.com/gpu: devices 0, 1, …, each by its UUID too, and `all`."""

import os

from corten.engine.devices.cdi import Device, DeviceNode, Edits, Library, Mount, Spec
from corten.engine.devices.nvidia_driver import Driver, DriverNode, read_driver

KIND = "nvidia.com/gpu"
PATH = "the NVIDIA driver of this machine"
"""Stands where others have the path of their file."""
_BIND = ("ro", "nosuid", "nodev", "rbind", "rprivate")
_PROGRAMS = "/usr/bin"


class NvidiaSource:
    """For `Registry`: the specification, made again when the module or its GPUs have changed."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._stamp: tuple[str, ...] = ()
        self._specs: dict[str, Spec] = {}

    def __call__(self) -> dict[str, Spec]:
        stamp = self._look()
        if stamp != self._stamp:
            driver = read_driver(self._root) if stamp else None
            self._specs = {PATH: specification(driver, self._root)} if driver is not None and driver.gpus else {}
            self._stamp = stamp
        return self._specs

    def _look(self) -> tuple[str, ...]:
        """Two calls of the kernel where there is no driver, a few where there is."""
        try:
            with open(os.path.join(self._root, "proc/driver/nvidia/version"), encoding="utf-8", errors="replace") as file:
                version = file.read(4096)
            return version, *sorted(os.listdir(os.path.join(self._root, "proc/driver/nvidia/gpus")))
        except OSError:
            return ()


def specification(driver: Driver, root: str = "/") -> Spec:
    devices: list[Device] = []
    for number, gpu in enumerate(driver.gpus):
        edits = Edits(device_nodes=tuple(_node(node) for node in gpu.nodes))
        devices += [Device(name=name, container_edits=edits) for name in (str(number), gpu.uuid) if name]
    every = tuple(_node(node) for gpu in driver.gpus for node in gpu.nodes)
    devices.append(Device(name="all", container_edits=Edits(device_nodes=every)))
    return Spec(cdi_version="0.7.0", kind=KIND, devices=tuple(devices), container_edits=_common(driver, root))


def _common(driver: Driver, root: str) -> Edits:
    """Environment: NVIDIA's own runtime, where it is in use as well, shall not do it once more."""
    same_place = [*driver.firmware, *driver.sockets]
    mounts = [_mount(root, path, path) for path in same_place]
    mounts += [_mount(root, path, f"{_PROGRAMS}/{os.path.basename(path)}") for path in driver.programs]
    libraries = [Library(path=_host(root, library.path), name=name) for library in driver.libraries for name in library.names]
    return Edits(
        env=("NVIDIA_VISIBLE_DEVICES=void",),
        device_nodes=tuple(_node(node) for node in driver.shared),
        mounts=tuple(mounts),
        libraries=tuple(libraries),
    )


def _node(node: DriverNode) -> DeviceNode:
    """Wholly described: NVIDIA's nodes are made by a program that may not have run yet."""
    return DeviceNode(path=f"/dev/{node.name}", type="c", major=node.major, minor=node.minor, permissions="rw", file_mode=0o666)


def _mount(root: str, source: str, target: str) -> Mount:
    return Mount(host_path=_host(root, source), container_path=target, options=_BIND, type="none")


def _host(root: str, path: str) -> str:
    return path if root == "/" else os.path.join(root, path.lstrip("/"))
