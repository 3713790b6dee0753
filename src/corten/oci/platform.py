"""Platforms: `os/arch[/variant]` parsed, normalised and matched as containerd's platform rules do."""

import os
from dataclasses import dataclass

from corten.errors import Invalid

_ARCHITECTURES = {
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "i386": ("386", ""), "i486": ("386", ""), "i586": ("386", ""), "i686": ("386", ""),
    "aarch64": ("arm64", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6"), "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"),
}  # fmt: skip
_KNOWN = frozenset(
    ("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm")
)
_OSES = {"macos": "darwin"}


@dataclass(frozen=True, slots=True)
class Platform:
    """Always normalised: `arm64` has no variant `v8`, `arm` has one."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def normalise(os_name: str, architecture: str, variant: str = "", os_version: str = "") -> Platform:
    """Every spelling of a platform as its one canonical form. Unknown architectures pass through in lower case."""
    architecture, implied = _ARCHITECTURES.get(architecture.lower(), (architecture.lower(), ""))
    variant = variant.lower() or implied
    if architecture == "arm":
        variant = variant or "v7"
        variant = variant if variant.startswith("v") else f"v{variant}"
    elif (architecture, variant) in (("arm64", "8"), ("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    os_name = os_name.lower()
    return Platform(_OSES.get(os_name, os_name), architecture, variant, os_version)


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `linux`, `arm64`: what is missing is the host's. Raises Invalid naming the part that is wrong."""
    parts = text.split("/")
    if not 1 <= len(parts) <= 3 or not all(part and part.replace("_", "").replace("-", "").replace(".", "").isalnum() for part in parts):
        said = f'"{text}": cannot parse platform specifier: invalid argument'
        raise Invalid(said, reason="bad-platform", hint="write os/architecture[/variant], e.g. linux/arm64")
    host = host_platform()
    if len(parts) == 1:
        candidate = normalise(host.os, parts[0])
        if candidate.architecture in _KNOWN:
            return candidate
        if parts[0].lower() in ("linux", "windows", "darwin", "freebsd", "macos"):
            return normalise(parts[0], host.architecture, host.variant)
        raise Invalid(f'"{text}": unknown operating system or architecture: invalid argument', reason="bad-platform")
    return normalise(*parts)


def host_platform() -> Platform:
    return normalise("linux", os.uname().machine)


def can_run(host: Platform, image: Platform) -> bool:
    """Whether `image`'s binaries are meant for `host` (an arm64 host takes 32-bit arm, v7 takes v6, …)."""
    return preference(host, image) is not None


def preference(host: Platform, image: Platform) -> int | None:
    """0 for the best match, more for the next best, None for no match: used to choose a manifest from an index."""
    if image.os != host.os:
        return None
    if image.architecture == host.architecture:
        return _variant_distance(host.variant, image.variant)
    if host.architecture == "arm64" and image.architecture == "arm":
        distance = _variant_distance("v8", image.variant)
        return None if distance is None else 100 + distance
    if host.architecture == "amd64" and image.architecture == "386":
        return 100
    return None


def _variant_distance(host: str, image: str) -> int | None:
    mine, theirs = (int(v[1:]) if v[1:].isdecimal() else 0 for v in (host, image))
    if host == image:
        return 0
    return mine - theirs if mine >= theirs else None
