"""Device nodes and links under /dev: those every container has (OCI "Default Devices") and those of linux.devices."""

import os
import stat
from typing import Any, NamedTuple

from corten.errors import EngineError
from corten.kernel import mount as m
from corten.kernel.inode import Inode
from corten.kernel.openat2 import make_directory_in_root, make_file_in_root


class Device(NamedTuple):
    path: str
    kind: str  # c, u, b or p
    major: int = 0
    minor: int = 0
    mode: int = 0o666
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        return f"creating device {self.path}"


DEFAULT_DEVICES = (
    Device("/dev/null", "c", 1, 3),
    Device("/dev/zero", "c", 1, 5),
    Device("/dev/full", "c", 1, 7),
    Device("/dev/random", "c", 1, 8),
    Device("/dev/urandom", "c", 1, 9),
    Device("/dev/tty", "c", 5, 0),
)
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {"allow": True, "type": "c", "access": "m"},  # making a node is harmless, opening it is not
    {"allow": True, "type": "b", "access": "m"},
    *({"allow": True, "type": d.kind, "major": d.major, "minor": d.minor, "access": "rwm"} for d in DEFAULT_DEVICES),
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},  # /dev/pts/*
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},  # /dev/ptmx
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def parse_device(entry: dict[str, Any]) -> Device:
    """One entry of linux.devices. Its path may lie anywhere in the container."""
    return Device(
        entry["path"],
        entry["type"],
        entry.get("major", 0),
        entry.get("minor", 0),
        entry.get("fileMode") or 0o666,
        entry.get("uid") or 0,
        entry.get("gid") or 0,
    )


def planned_devices(entries: list[dict[str, Any]]) -> tuple[Device, ...]:
    """The defaults and `entries`; an entry with a default's path takes its place."""
    devices = {device.path: device for device in DEFAULT_DEVICES}
    for device in map(parse_device, entries):
        devices[device.path] = device
    return tuple(devices.values())


def with_default_rules(resources: dict[str, Any]) -> dict[str, Any]:
    """linux.resources with rules that allow what every container has, as runc adds them; without any rule all else is refused."""
    rules = resources.get("devices") or [{"allow": False, "access": "rwm"}]
    return {**resources, "devices": [*rules, *(rule for rule in _DEFAULT_RULES if rule not in rules)]}


def make_devices(devices: tuple[Device, ...], root_fd: int, *, by_bind: bool) -> None:
    """`by_bind`: in a user namespace mknod is refused, so the host's nodes are bind-mounted; read-only, which keeps their owner and

    mode from being changed and lets programs read and write them all the same.
    """
    directories: dict[str, int] = {}
    try:
        for device in devices:
            parent, _, name = device.path.rpartition("/")
            if parent not in directories:
                directories[parent] = make_directory_in_root(root_fd, parent)
            try:
                _make(device, name, directories[parent], root_fd, by_bind)
            except OSError as e:
                raise EngineError(f"error {device}: {e}", reason="device-failed") from e
    finally:
        for fd in directories.values():
            os.close(fd)


def _make(device: Device, name: str, directory: int, root_fd: int, by_bind: bool) -> None:
    if by_bind:
        _bind(device, root_fd)
        return
    mode, number = _KINDS[device.kind] | device.mode, os.makedev(device.major, device.minor)
    try:
        os.mknod(name, mode, number, dir_fd=directory)
    except FileExistsError:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode) or found.st_rdev != number:
            raise
    except PermissionError:
        _bind(device, root_fd)
        return
    if device.uid or device.gid:
        with Inode(name, directory, _KINDS[device.kind]) as made:
            made.chown(device.uid, device.gid)


def _bind(device: Device, root_fd: int) -> None:
    source = m.open_tree(m.AT_FDCWD, device.path, m.OPEN_TREE_CLONE)
    try:
        target = make_file_in_root(root_fd, device.path)
        try:
            m.move_mount(source, "", target, "")
            m.set_attributes(source, "", m.MOUNT_ATTR_RDONLY)
        finally:
            os.close(target)
    finally:
        os.close(source)


def make_links(root_fd: int) -> None:
    """/dev/fd and its kin; /dev/ptmx leads to the container's own instance. What the image has of these names goes away."""
    directory = make_directory_in_root(root_fd, "/dev")
    links = (*_LINKS, ("core", "/proc/kcore")) if os.path.exists("/proc/kcore") else _LINKS
    try:
        for name, target in links:
            try:
                os.symlink(target, name, dir_fd=directory)
            except FileExistsError:
                if name == "ptmx":
                    os.unlink(name, dir_fd=directory)
                    os.symlink(target, name, dir_fd=directory)
    finally:
        os.close(directory)
