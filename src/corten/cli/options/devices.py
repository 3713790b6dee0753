"""Devices: `--device`, `--gpus`, throttles and weights, cgroup rules."""

from collections.abc import Iterable
from typing import Any

from corten.cli.kinds import Kind, checked, csv_fields
from corten.units import parse_size

Json = dict[str, Any]
RULE_HELP = "The correct format is <device-path>:<number>"


def devices(specs: Iterable[str]) -> tuple[list[Json], list[Json]]:
    """All `--device`: plain ones (the API's Devices), and CDI names collected in one DeviceRequest."""
    plain, cdi = [], []
    for spec in specs:
        if is_cdi_name(spec):
            cdi.append(spec)
        else:
            plain.append(_device(spec))
    requests = [{"Driver": "cdi", "Count": 0, "DeviceIDs": cdi, "Capabilities": None, "Options": None}] if cdi else []
    return plain, requests


def is_cdi_name(text: str) -> bool:
    """`vendor.com/class=device` (CDI specification, "Kind")."""
    kind, equals, device = text.partition("=")
    vendor, slash, group = kind.partition("/")
    return bool(equals and slash and vendor and group and device) and "/" not in group and not text.startswith("/")


def _device(spec: str) -> Json:
    parts = spec.split(":")
    permissions = "rwm"
    match parts:
        case [host]:
            container = host
        case [host, second]:
            container, permissions = (host, second) if is_device_mode(second) else (second, permissions)
        case [host, container, permissions]:
            if not is_device_mode(permissions):
                raise ValueError(f"bad mode specified: {permissions}")
        case _:
            raise ValueError(f"invalid device specification: {spec}")
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions}


def is_device_mode(text: str) -> bool:
    return bool(text) and len(set(text)) == len(text) and set(text) <= set("rwm")


def parse_gpus(text: str) -> Json:
    """`all`, `2`, `device=0`, `"device=0,1",capabilities=compute` as a DeviceRequest."""
    request: Json = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": {}}
    capabilities: list[str] = []
    seen: set[str] = set()
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        match key:
            case "driver":
                request["Driver"] = value
            case "count":
                request["Count"] = _gpu_count(value)
            case "device":
                request["DeviceIDs"] = value.split(",")
            case "capabilities":
                capabilities = [*value.split(","), "gpu"]
            case "options":
                request["Options"] = dict(f.partition("=")[::2] for f in csv_fields(value))
            case _:
                raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and "device" not in seen:
        request["Count"] = 1
    request["Capabilities"] = [capabilities or ["gpu"]]
    return request


def _gpu_count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax') from None


def parse_weight(text: str) -> Json:
    """`/dev/sda:200`; 0, or from 10 to 1000."""
    path, weight = _path_and_number(text)
    if not weight.isdecimal() or not (int(weight) == 0 or 10 <= int(weight) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(weight)}


def parse_byte_rate(text: str) -> Json:
    """`/dev/sda:1mb`: bytes per second."""
    path, rate = _path_and_number(text)
    try:
        return {"Path": path, "Rate": parse_size(rate)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. {RULE_HELP}[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def parse_operation_rate(text: str) -> Json:
    """`/dev/sda:1000`: operations per second."""
    path, rate = _path_and_number(text)
    if not rate.isdecimal():
        raise ValueError(f"invalid rate for device: {text}. {RULE_HELP}. Number must be a positive integer")
    return {"Path": path, "Rate": int(rate)}


def _path_and_number(text: str) -> tuple[str, str]:
    path, _, number = text.partition(":")
    if not path or not number or ":" in number:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, number


def parse_cgroup_rule(text: str) -> str:
    """`c 1:3 rwm`; kind a, b or c; numbers or *."""
    kind, _, rest = text.partition(" ")
    numbers, _, mode = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    known = kind in {"a", "b", "c"} and colon and all(n == "*" or n.isdecimal() for n in (major, minor))
    if not known or not 1 <= len(mode) <= 3 or not set(mode) <= set("rwm"):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


GPUS = Kind("gpu-request", parse_gpus, repeats=True)
WEIGHTS = checked(parse_weight)
BYTE_RATES = checked(parse_byte_rate)
OPERATION_RATES = checked(parse_operation_rate)
CGROUP_RULES = checked(parse_cgroup_rule)
