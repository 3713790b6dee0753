"""Devices of a container: the default rules, `--device` (a node or a directory of nodes), `--device-cgroup-rule`, or all when privileged.

Looks at the host's device nodes through `Probe`, so that tests need none.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from corten.engine.values.container import DeviceMapping
from corten.errors import EngineError, Invalid

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_SKIPPED = frozenset(("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"))


class DeviceNode(NamedTuple):
    """One device special file. `type` is c or b; `mode` its permission bits."""

    path: str
    type: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


Probe = Callable[[str], list[DeviceNode]]
"""All device nodes at or under a path, symlinks at the path itself followed; [] where there is none."""


def host_devices(path: str) -> list[DeviceNode]:
    """The `Probe` of the real machine."""
    real = os.path.realpath(path)
    return sorted(_walk(real))


def _walk(path: str) -> Iterator[DeviceNode]:
    try:
        status = os.lstat(path)
    except OSError:
        return
    if stat.S_ISDIR(status.st_mode):
        try:
            names = os.listdir(path)
        except OSError:
            return
        for name in names:
            if name not in _SKIPPED:
                yield from _walk(f"{path.rstrip('/')}/{name}")
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
        number = status.st_rdev
        yield DeviceNode(path, kind, os.major(number), os.minor(number), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _rule(allow: bool, kind: str, major: int, minor: int) -> dict[str, Any]:
    return {"allow": allow, "type": kind, "major": major, "minor": minor, "access": "rwm"}


def default_rules() -> list[dict[str, Any]]:
    """Deny all; zero, null, urandom, random, tty and console; never fuse (10:229) unless asked for."""
    numbers = ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
    allowed = [_rule(True, "c", major, minor) for major, minor in numbers]
    return [{"allow": False, "access": "rwm"}, *allowed, _rule(False, "c", 10, 229)]


def privileged_devices(mappings: Sequence[DeviceMapping], probe: Probe) -> list[dict[str, Any]]:
    """Every device node of the host's /dev, and mappings to other paths."""
    found = [_node(node, node.path) for node in probe("/dev")]
    for mapping in mappings:
        target = mapping.path_in_container or mapping.path_on_host
        if target != mapping.path_on_host:
            found += [_node(node, path) for node, path in _mapped(mapping, probe)]
    return found


def mapped_devices(mappings: Sequence[DeviceMapping], probe: Probe) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(linux.devices, linux.resources.devices) for `--device`. Raises EngineError, in Docker's words, where no device is found."""
    nodes: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    for mapping in mappings:
        for node, path in _mapped(mapping, probe):
            nodes.append(_node(node, path))
            rule = _rule(True, node.type, node.major, node.minor)
            rules.append(rule | {"access": mapping.cgroup_permissions or "rwm"})
    return nodes, rules


def _mapped(mapping: DeviceMapping, probe: Probe) -> list[tuple[DeviceNode, str]]:
    found = probe(mapping.path_on_host)
    if not found:
        why = _why_no_device(mapping.path_on_host)
        text = f'error gathering device information while adding custom device "{mapping.path_on_host}": {why}'
        raise EngineError(text, reason="no-such-device")
    target = mapping.path_in_container or mapping.path_on_host
    root = os.path.commonpath([node.path for node in found]) if len(found) > 1 else found[0].path
    real = os.path.realpath(mapping.path_on_host)
    base = real if root == real or root.startswith(f"{real}/") else mapping.path_on_host
    return [(node, target + node.path[len(base) :]) for node in found]


def _why_no_device(path: str) -> str:
    return "not a device node" if os.path.exists(path) else "no such file or directory"


def _node(node: DeviceNode, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "type": node.type,
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
    }


def parse_cgroup_rules(rules: Sequence[str]) -> list[dict[str, Any]]:
    """`--device-cgroup-rule "c 42:* rmw"`. Raises Invalid with Docker's text."""
    found = []
    for rule in rules:
        match = _RULE.fullmatch(rule)
        if match is None:
            raise Invalid(f"invalid device cgroup rule format: '{rule}'", reason="bad-device-rule")
        kind, major, minor, access = match.groups()
        numbers = [-1 if number == "*" else int(number) for number in (major, minor)]
        found.append(_rule(True, kind, numbers[0], numbers[1]) | {"access": access})
    return found
