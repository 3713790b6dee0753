"""One CDI specification as values: parsed from JSON or YAML and checked, no files and nothing of containers.

Source: github.com/cncf-tags/container-device-interface SPEC.md, versions 0.1.0 to 1.1.0. Keys are read as Go reads them, in any case.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

MOST_BYTES: Final = 4 << 20
_MOST_VALUES = 200_000
_MOST_DEPTH = 32
VERSIONS: Final = ("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
HOOKS: Final = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_ENDS = "[A-Za-z0-9]"
_QUALIFIER = re.compile(rf"[A-Za-z](?:[A-Za-z0-9_.-]*{_ENDS})?")
_DEVICE = re.compile(rf"{_ENDS}(?:[A-Za-z0-9_.:-]*{_ENDS})?")
Scalar = str | int | float | bool


class SpecError(ValueError):
    """This is no CDI specification, or not one that holds to the rules; the text says why."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=lambda name: name.replace("_", "")):
    """Names are compared in lower case."""


class DeviceNode(_Part, frozen=True, kw_only=True):
    """`path` in the container, `host_path` "" = the same. Type "" and number 0 = as found on the host."""

    path: str = ""
    host_path: str = ""
    type: Literal["", "b", "c", "u", "p"] = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class Mount(_Part, frozen=True, kw_only=True):
    host_path: str = ""
    container_path: str = ""
    options: tuple[str, ...] = ()
    type: str = ""


class Hook(_Part, frozen=True, kw_only=True):
    """`timeout` in seconds."""

    hook_name: str = ""
    path: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class IntelRdt(_Part, frozen=True, kw_only=True):
    clos_id: str = ""
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    schemata: tuple[str, ...] = ()
    enable_monitoring: bool = False


class NetDevice(_Part, frozen=True, kw_only=True):
    host_interface_name: str = ""
    name: str = ""


class Library(_Part, frozen=True, kw_only=True):
    """A shared library of the host that the container's loader shall find under `name`. In no file: for what Corten generates."""

    path: str = ""
    name: str = ""


class Edits(_Part, frozen=True, kw_only=True):
    """What changes in a container's OCI spec."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    net_devices: tuple[NetDevice, ...] = ()
    hooks: tuple[Hook, ...] = ()
    mounts: tuple[Mount, ...] = ()
    intel_rdt: IntelRdt | None = None
    additional_gids: tuple[int, ...] = ()
    libraries: tuple[Library, ...] = ()


NOTHING: Final = Edits()


class Device(_Part, frozen=True, kw_only=True):
    name: Scalar = ""
    annotations: dict[str, Scalar] = {}
    container_edits: Edits = NOTHING


class Spec(_Part, frozen=True, kw_only=True):
    cdi_version: str = ""
    kind: str = ""
    annotations: dict[str, Scalar] = {}
    devices: tuple[Device, ...] = ()
    container_edits: Edits = NOTHING


def parse_spec(data: bytes, *, yaml: bool) -> Spec:
    """Raises SpecError."""
    if len(data) > MOST_BYTES:
        raise SpecError(f"it is larger than {MOST_BYTES >> 20} MiB")
    tree = _folded(_read_yaml(data) if yaml else _read_json(data), iter(range(_MOST_VALUES)), 0)
    if tree is None:
        raise SpecError("no Spec data")
    try:
        spec = msgspec.convert(tree, Spec)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SpecError(f"failed to unmarshal CDI Spec: {error}") from error
    try:
        _check(spec)
    except ValueError as error:
        raise SpecError(f"invalid CDI Spec: {error}") from error
    return spec


def merged(parts: Iterable[Edits]) -> Edits:
    """All of them, in order; of several resource classes the last."""
    known = list(parts)
    return Edits(
        env=tuple(entry for part in known for entry in part.env),
        device_nodes=tuple(node for part in known for node in part.device_nodes),
        net_devices=tuple(device for part in known for device in part.net_devices),
        hooks=tuple(hook for part in known for hook in part.hooks),
        mounts=tuple(mount for part in known for mount in part.mounts),
        intel_rdt=next((part.intel_rdt for part in reversed(known) if part.intel_rdt), None),
        additional_gids=tuple(gid for part in known for gid in part.additional_gids),
        libraries=tuple(library for part in known for library in part.libraries),
    )


def annotations_of(spec: Spec, device: Device) -> dict[str, str]:
    """The specification's, with the device's own over them."""
    return {name: _text(value) for name, value in {**spec.annotations, **device.annotations}.items()}


def name_of(device: Device) -> str:
    return _text(device.name)


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"failed to unmarshal CDI Spec: {error}") from error


def _read_yaml(data: bytes) -> Any:
    """YAML is imported with the first such file: 3 MB that most engines never need."""
    import yaml

    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        return yaml.load(data, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that there is not
        raise SpecError(f"failed to unmarshal CDI Spec: yaml: {' '.join(str(error).split())}") from error


def _folded(value: Any, budget: Any, depth: int) -> Any:
    """Keys of mappings in lower case but those of annotations, nulls left out. YAML's aliases may stand for very many values: counted."""
    if next(budget, None) is None or depth > _MOST_DEPTH:
        raise SpecError("failed to unmarshal CDI Spec: too many values, or too deep")
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            name = str(key).lower()
            if inner is not None:
                is_verbatim = name == "annotations" and isinstance(inner, Mapping)
                found[name] = {str(k): v for k, v in inner.items()} if is_verbatim else _folded(inner, budget, depth + 1)
        return found
    if isinstance(value, list):
        return [_folded(inner, budget, depth + 1) for inner in value]
    return value


def _check(spec: Spec) -> None:
    _check_head(spec)
    _check_edits(spec.container_edits)
    seen: set[str] = set()
    for device in spec.devices:
        name = name_of(device)
        try:
            check_device_name(name)
            if device.container_edits == NOTHING:
                raise ValueError("invalid device, empty device edits")
            _check_edits(device.container_edits)
        except ValueError as error:
            raise ValueError(f'failed add device "{name}": {error}') from error
        if name in seen:
            raise ValueError(f'invalid spec, multiple device "{name}"')
        seen.add(name)
    if not seen:
        raise ValueError("invalid spec, no devices")


def _check_head(spec: Spec) -> None:
    version = spec.cdi_version.removeprefix("v")
    if version not in VERSIONS:
        raise ValueError(f'invalid version "{spec.cdi_version}"')
    for needed, is_used in reversed(_SINCE.items()):
        if VERSIONS.index(version) < VERSIONS.index(needed) and is_used(spec):
            raise ValueError(f"the spec version must be at least v{needed}")
    parse_kind(spec.kind)


def _all_edits(spec: Spec) -> list[Edits]:
    return [spec.container_edits, *(device.container_edits for device in spec.devices)]


_SINCE: dict[str, Callable[[Spec], bool]] = {
    "0.4.0": lambda s: any(mount.type for edits in _all_edits(s) for mount in edits.mounts),
    "0.5.0": lambda s: (
        any(name_of(device)[:1].isdigit() for device in s.devices)
        or any(node.host_path for edits in _all_edits(s) for node in edits.device_nodes)
    ),
    "0.6.0": lambda s: bool(s.annotations) or any(d.annotations for d in s.devices) or "." in s.kind.partition("/")[2],
    "0.7.0": lambda s: any(edits.intel_rdt or edits.additional_gids for edits in _all_edits(s)),
    "1.1.0": lambda s: any(edits.net_devices or _has_newer_rdt(edits) for edits in _all_edits(s)),
}
"""Which version first had what: one that says less and uses it is refused, as by the reference implementation."""


def _has_newer_rdt(edits: Edits) -> bool:
    rdt = edits.intel_rdt
    return rdt is not None and bool(rdt.schemata or rdt.enable_monitoring)


def _check_edits(edits: Edits) -> None:
    if edits.libraries:
        raise ValueError("unknown field `libraries`")
    _check_env(edits.env)
    for node in edits.device_nodes:
        _check_node(node)
    for hook in edits.hooks:
        if hook.hook_name not in HOOKS:
            raise ValueError(f'invalid hook name "{hook.hook_name}"')
        if not hook.path:
            raise ValueError(f'invalid hook "{hook.hook_name}" with empty path')
        _check_env(hook.env)
    for mount in edits.mounts:
        if not mount.host_path or not mount.container_path:
            raise ValueError(f"invalid mount, empty {'container' if mount.host_path else 'host'} path")
    if any(not 0 <= gid < 1 << 32 for gid in edits.additional_gids):
        raise ValueError("invalid additional group id")


def _check_node(node: DeviceNode) -> None:
    if not node.path:
        raise ValueError("invalid (empty) device path")
    if node.permissions != "none" and node.permissions.strip("rwm"):
        raise ValueError(f'device "{node.path}": invalid permissions "{node.permissions}"')
    if min(node.major, node.minor, node.file_mode or 0, node.uid or 0, node.gid or 0) < 0:
        raise ValueError(f'device "{node.path}": a number below 0')


def _check_env(env: Iterable[str]) -> None:
    for entry in env:
        if entry.find("=") <= 0 or "\0" in entry:
            raise ValueError(f'invalid environment variable "{entry}"')


class DeviceKind(NamedTuple):
    vendor: str
    group: str


def parse_kind(text: str) -> DeviceKind:
    """`vendor.com/class`. Raises ValueError."""
    vendor, slash, group = text.partition("/")
    if not slash:
        raise ValueError("invalid vendor. empty name")
    for what, name in (("vendor", vendor), ("class", group)):
        if not name:
            raise ValueError(f"invalid {what}. empty name")
        if not _QUALIFIER.fullmatch(name):
            raise ValueError(
                f'invalid {what}. "{name}" should start with a letter, end with a letter or digit, and hold only those and _-.'
            )
    return DeviceKind(vendor, group)


def check_device_name(name: str) -> None:
    """Raises ValueError."""
    if not name:
        raise ValueError("invalid (empty) device name")
    if not _DEVICE.fullmatch(name):
        raise ValueError(f'invalid device name "{name}": it should start and end with a letter or digit, and hold only those and _-.:')
