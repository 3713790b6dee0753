"""Edits into an OCI spec, as plain JSON data: variables, device nodes with leave to use them, mounts, hooks, groups."""

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corten.engine.devices.cdi import DeviceNode, Edits, Hook, IntelRdt, Mount
from corten.engine.spec.environment import replace_or_append
from corten.errors import EngineError, Unsupported

_KINDS = {stat.S_IFBLK: "b", stat.S_IFCHR: "c", stat.S_IFIFO: "p"}
FAILED = "CDI device injection failed: "


def inject(spec: dict[str, Any], edits: Edits, folders: Callable[[], Sequence[str]] = tuple) -> None:
    """Changes `spec` in place. `folders`: where the container's loader looks for libraries, asked only when there are some.

    Raises EngineError where a node is not on this machine, Unsupported for what Corten cannot do.
    """
    if edits.net_devices:
        names = ", ".join(device.host_interface_name for device in edits.net_devices)
        hint = "give the container the host's network, or move the interface by hand"
        raise Unsupported(f"{FAILED}moving network interfaces ({names}) is not built", reason="cdi-net-devices", hint=hint)
    process = spec["process"]
    process["env"] = replace_or_append(process["env"], edits.env)
    groups = process["user"].setdefault("additionalGids", [])
    groups += [gid for gid in dict.fromkeys(edits.additional_gids) if gid and gid not in groups]
    for node in edits.device_nodes:
        _add_node(spec["linux"], node)
    _add_mounts(spec, (*edits.mounts, *(_library_mounts(edits, folders()) if edits.libraries else ())))
    for hook in edits.hooks:
        spec.setdefault("hooks", {}).setdefault(hook.hook_name, []).append(_hook(hook))
    if edits.intel_rdt is not None:
        spec["linux"]["intelRdt"] = _rdt(edits.intel_rdt)


def _add_node(linux: dict[str, Any], node: DeviceNode) -> None:
    entry = _entry(node)
    devices = linux.setdefault("devices", [])
    devices[:] = [known for known in devices if known["path"] != node.path]
    devices.append(entry)
    access = node.permissions or "rwm"
    if entry["type"] in ("b", "c") and access != "none":
        rule = {"allow": True, "type": entry["type"], "major": entry["major"], "minor": entry["minor"], "access": access}
        linux["resources"]["devices"].append(rule)


def _entry(node: DeviceNode) -> dict[str, Any]:
    """An entry of linux.devices; what the specification leaves open is as on this machine."""
    host_path = node.host_path or node.path
    is_whole = bool(node.type and (node.major or node.type == "p"))
    try:
        found = os.stat(host_path)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        problem = "" if kind else "not a device node"
    except OSError as error:
        found, kind, problem = None, None, (error.strerror or str(error)).lower()
    if not is_whole and (found is None or kind is None):
        text = f'{FAILED}failed to inject devices: failed to stat CDI host device "{host_path}": {problem}'
        raise EngineError(text, reason="no-such-device")
    if not is_whole and node.type and node.type != kind:
        text = f'CDI device ("{node.path}", "{host_path}"), host type mismatch ({node.type}, {kind})'
        raise EngineError(f"{FAILED}failed to inject devices: {text}", reason="no-such-device")
    entry = {"path": node.path, "type": node.type or kind, "major": node.major, "minor": node.minor}
    if found is not None and not is_whole and not node.major:
        entry |= {"major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev)}
    mode = node.file_mode
    if mode is None and found is not None and kind:
        mode = stat.S_IMODE(found.st_mode)
    optional = {"fileMode": mode, "uid": node.uid, "gid": node.gid}
    return entry | {name: value for name, value in optional.items() if value is not None}


def _add_mounts(spec: dict[str, Any], wanted: tuple[Mount, ...]) -> None:
    """A mount takes the place of one with the same destination; then parents before children."""
    if not wanted:
        return
    for mount in wanted:
        target = posixpath.normpath(mount.container_path)
        spec["mounts"] = [known for known in spec["mounts"] if posixpath.normpath(known["destination"]) != target]
        spec["mounts"].append(_mount(mount, target))
    spec["mounts"].sort(key=lambda mount: posixpath.normpath(mount["destination"]).count("/"))


def _library_mounts(edits: Edits, folders: Sequence[str]) -> Iterator[Mount]:
    options = ("ro", "nosuid", "nodev", "rbind", "rprivate")
    for folder in folders:
        for library in edits.libraries:
            yield Mount(host_path=library.path, container_path=f"{folder}/{library.name}", options=options)


def _mount(mount: Mount, target: str) -> dict[str, Any]:
    """Without a type it is a bind mount, whether its options say so or not: it names a path of the host."""
    options = list(mount.options)
    if mount.type in ("", "none", "bind") and not {"bind", "rbind"} & set(options):
        options.append("rbind")
    return {"destination": target, "type": mount.type or "none", "source": mount.host_path, "options": options}


def _hook(hook: Hook) -> dict[str, Any]:
    found: dict[str, Any] = {"path": hook.path}
    if hook.args:
        found["args"] = list(hook.args)
    if hook.env:
        found["env"] = list(hook.env)
    if hook.timeout:
        found["timeout"] = hook.timeout
    return found


def _rdt(rdt: IntelRdt) -> dict[str, Any]:
    values = {
        "closID": rdt.clos_id,
        "l3CacheSchema": rdt.l3_cache_schema,
        "memBwSchema": rdt.mem_bw_schema,
        "schemata": list(rdt.schemata),
        "enableMonitoring": rdt.enable_monitoring,
    }
    return {name: value for name, value in values.items() if value}
