"""`--mount`, `-v` and `--tmpfs`."""

import os
from collections.abc import Iterable
from typing import Any

from corten.cli.kinds import checked, csv_fields
from corten.units import FALSE, TRUE, parse_size

FLAGS = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive"})
"""Keys that need no value."""
RECURSIVE = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
PLAIN = {
    "type": "Type",
    "source": "Source",
    "src": "Source",
    "target": "Target",
    "dst": "Target",
    "destination": "Target",
    "consistency": "Consistency",
}

Mount = dict[str, Any]


def parse_mount(text: str) -> Mount:
    """One `--mount type=bind,source=…,target=…,…` as the API's Mount."""
    mount: Mount = {"Type": "volume"}
    if not text:
        raise ValueError("EOF")
    for key, value in [_field(raw) for raw in csv_fields(text)]:
        _apply(mount, key, value)
    if not mount.get("Target"):
        raise ValueError("target is required")
    _check(mount)
    source = mount.get("Source", "")
    if mount["Type"] == "bind" and source.startswith("."):
        mount["Source"] = os.path.abspath(source)
    return mount


def _field(raw: str) -> tuple[str, str]:
    key, equals, value = raw.partition("=")
    key = key.lower()
    if not equals:
        if key not in FLAGS:
            raise ValueError(f"invalid field '{raw}' must be a key=value pair")
        return key, "true"
    return key, value


def _apply(mount: Mount, key: str, value: str) -> None:
    if key in PLAIN:
        mount[PLAIN[key]] = value.lower() if key == "type" else value
    elif key in {"readonly", "ro"}:
        if _boolean(key, value):
            mount["ReadOnly"] = True
    elif key.startswith("bind-"):
        _bind(mount.setdefault("BindOptions", {}), key, value)
    elif key.startswith("volume-"):
        _volume(mount.setdefault("VolumeOptions", {}), key, value)
    elif key.startswith("tmpfs-"):
        _tmpfs(mount.setdefault("TmpfsOptions", {}), key, value)
    elif key == "image-subpath":
        mount.setdefault("ImageOptions", {})["Subpath"] = value
    else:
        raise _unexpected(key, value)


def _unexpected(key: str, value: str) -> ValueError:
    return ValueError(f"unexpected key '{key}' in '{key}={value}'")


def _boolean(key: str, value: str) -> bool:
    if value not in TRUE | FALSE:
        raise ValueError(f"invalid value for {key}: {value}")
    return value in TRUE


def _bind(options: Mount, key: str, value: str) -> None:
    match key:
        case "bind-propagation":
            options["Propagation"] = value.lower()
        case "bind-nonrecursive":
            if _boolean(key, value):
                options["NonRecursive"] = True
        case "bind-create-mountpoint" | "bind-create-src":
            if _boolean(key, value):
                options["CreateMountpoint"] = True
        case "bind-recursive":
            if value not in RECURSIVE:
                raise ValueError(f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")')
            options.update(RECURSIVE[value])
        case _:
            raise _unexpected(key, value)


def _volume(options: Mount, key: str, value: str) -> None:
    match key:
        case "volume-nocopy":
            if _boolean(key, value):
                options["NoCopy"] = True
        case "volume-subpath":
            options["Subpath"] = value
        case "volume-label":
            name, _, content = value.partition("=")
            options.setdefault("Labels", {})[name] = content
        case "volume-driver":
            options.setdefault("DriverConfig", {})["Name"] = value
        case "volume-opt":
            name, _, content = value.partition("=")
            options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = content
        case _:
            raise _unexpected(key, value)


def _tmpfs(options: Mount, key: str, value: str) -> None:
    match key:
        case "tmpfs-size":
            try:
                options["SizeBytes"] = parse_size(value)
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        case "tmpfs-mode":
            try:
                options["Mode"] = int(value, 8)
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        case _:
            raise _unexpected(key, value)


def _check(mount: Mount) -> None:
    kind = mount["Type"]
    for options, owner in (("VolumeOptions", "volume"), ("BindOptions", "bind"), ("TmpfsOptions", "tmpfs"), ("ImageOptions", "image")):
        if options in mount and kind != owner:
            raise ValueError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    bind = mount.get("BindOptions", {})
    if bind.get("ReadOnlyNonRecursive") and not mount.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
    if bind.get("ReadOnlyForceRecursive"):
        if not mount.get("ReadOnly"):
            raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if bind.get("Propagation") != "rprivate":
            raise ValueError("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction")


def volumes(specs: Iterable[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """All `-v`: those with a source as binds (a source that starts with a dot is made absolute), the others as anonymous volumes."""
    binds: list[str] = []
    anonymous: dict[str, dict[str, str]] = {}
    for spec in dict.fromkeys(specs):
        if not spec:
            raise ValueError("invalid empty volume spec")
        parts = _split_volume(spec)
        if len(spec) > 2:
            _check_sections(spec, parts)
        if len(parts) == 1:
            anonymous[spec] = {}
            continue
        source, rest = parts[0], spec.partition(":")[2]
        binds.append(f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else spec)
    return binds, anonymous


def _check_sections(spec: str, parts: list[str]) -> None:
    for number, part in enumerate(parts):
        if number > 2:
            raise ValueError(f"invalid spec: {spec}: too many colons")
        if not part:
            raise ValueError(f"invalid spec: {spec}: empty section between colons")


def _split_volume(spec: str) -> list[str]:
    """At colons, except behind a single letter: that is a drive of another system to every Docker CLI, so names have two letters."""
    parts = [""]
    for c in spec:
        if c == ":" and not (len(parts[-1]) == 1 and parts[-1].isalpha()):
            parts.append("")
        else:
            parts[-1] += c
    return parts


def tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """`/path[:options]`."""
    return dict(_tmpfs_pair(spec) for spec in specs)


def _tmpfs_pair(spec: str) -> tuple[str, str]:
    path, _, options = spec.partition(":")
    return path, options


MOUNT = checked(parse_mount, "mount")
