"""Entitlements (`--allow`): what a RUN may use only when they were granted: the host's network, all privileges, devices."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from corten.build.dockerfile import instructions as ins
from corten.build.options import DeviceList
from corten.errors import Denied, EngineError, Invalid
from corten.units import TRUE

ENTITLEMENTS = frozenset({"network.host", "security.insecure", "device"})
CLASS = "org.mobyproject.buildkit.device.class"
AUTO_ALLOW = "org.mobyproject.buildkit.device.autoallow"


@dataclass(frozen=True, slots=True)
class DeviceEntitlements:
    """All devices, or those `named`; `aliases` are names that stand for a device in the Dockerfile."""

    all: bool = False
    named: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestedDevices:
    """A `--device` and the devices that it leads to, by qualified name. None for one that is not there and may be missing."""

    flag: ins.DeviceFlag
    devices: tuple[str, ...]

    @property
    def cache_key(self) -> tuple[str, tuple[str, ...]]:
        """What a cache key holds: the name as written and the kinds behind it. Not which of them: any GPU will do."""
        return self.flag.name, tuple(sorted({name.partition("=")[0] for name in self.devices}))


def check_entitlements(given: Collection[str]) -> None:
    """Raises Invalid for an entitlement that there is not."""
    for text in sorted(given):
        name, equals, _ = text.partition("=")
        if name not in ENTITLEMENTS or (equals and name != "device"):
            raise Invalid(f"unknown entitlement {text}", reason="bad-entitlement", hint=f"one of {sorted(ENTITLEMENTS)}")
    parse_device_entitlements(given)


def parse_device_entitlements(given: Collection[str]) -> DeviceEntitlements:
    """`device`, or several `device=NAME[,alias=OTHER]`. Raises Invalid."""
    named, aliases = [], {}
    for text in sorted(given):
        entitlement, _, rest = text.partition("=")
        if entitlement != "device":
            continue
        if not rest:
            return DeviceEntitlements(all=True)
        try:
            name, *options = next(csv.reader([rest]), [""])
        except csv.Error as error:
            raise Invalid(f'invalid device config "{rest}": {error}', reason="bad-entitlement") from error
        alias = ""
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise Invalid(f'invalid device config "{option}"', reason="bad-entitlement")
            if key != "alias":
                raise Invalid(f'unknown device config key "{key}"', reason="bad-entitlement")
            alias = value
        if alias:
            aliases[alias] = name
        else:
            named.append(name)
    return DeviceEntitlements(False, tuple(named), aliases)


def check_allowed(step: ins.Run, given: Collection[str], devices: DeviceList) -> list[RequestedDevices]:
    """The devices of the step. Raises Denied for an entitlement that was not granted, EngineError for a required device that is missing."""
    for wanted, needed in ((step.network == "host", "network.host"), (step.security == "insecure", "security.insecure")):
        if wanted and needed not in given:
            raise Denied(f"{needed} is not allowed", reason="entitlement", hint=f"--allow {needed}")
    if not step.devices:
        return []
    return list(_requested(step.devices, parse_device_entitlements(given), devices.known()))


def _requested(
    flags: Sequence[ins.DeviceFlag], granted: DeviceEntitlements, known: Mapping[str, Mapping[str, str]]
) -> Iterator[RequestedDevices]:
    allowed = {device for name in granted.named for device in _named(name, known)}
    forbidden: list[str] = []
    for flag in flags:
        real = granted.aliases.get(flag.name, "")
        devices = _named(real or flag.name, known)
        if not devices and flag.required:
            hint = f"this machine has {', '.join(list(known)[:10])}" if known else "there is no CDI specification on this machine"
            raise EngineError(f'required device "{flag.name}" is not registered', reason="no-cdi-devices", hint=hint)
        if not real and not granted.all:
            forbidden += [name for name in devices if name not in allowed and known[name].get(AUTO_ALLOW) not in TRUE]
        yield RequestedDevices(flag, tuple(devices))
    if forbidden:
        names = list(dict.fromkeys(forbidden))
        text = f"devices {', '.join(names)} are" if len(names) > 1 else f"device {names[0]} is"
        hint = f"--allow device={names[0]}, or --allow device for all"
        raise Denied(f"{text} requested by the build but not allowed", reason="entitlement", hint=hint)


def _named(name: str, known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """`vendor/class=device`, `vendor/class=*` (all), `vendor/class` (the first), or a class that devices give themselves."""
    kind, _, device = name.partition("=")
    vendor, _, group = kind.partition("/")
    found: list[str] = []
    if vendor and group:
        of_kind = [known_name for known_name in known if known_name.startswith(f"{kind}=")]
        found = {"": of_kind[:1], "*": of_kind}.get(device, [name] if name in known else [])
    return found or [known_name for known_name, annotations in known.items() if annotations.get(CLASS) == name]
