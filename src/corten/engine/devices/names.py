"""Names of the Container Device Interface: `vendor.com/class=device` (SPEC.md, "Kind" and "CDI Devices")."""

import re
from typing import NamedTuple

_ENDS = "[A-Za-z0-9]"
_QUALIFIER = re.compile(rf"[A-Za-z](?:[A-Za-z0-9_.-]*{_ENDS})?")
_DEVICE = re.compile(rf"{_ENDS}(?:[A-Za-z0-9_.:-]*{_ENDS})?")


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
