"""`--security-opt` as one value. Both `key=value` and the old `key:value` are understood."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from corten.errors import Invalid
from corten.units import parse_bool

UNCONFINED = "unconfined"
BUILTIN = "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """`seccomp`: "" = the default, "unconfined", "builtin", or a profile's JSON text. `apparmor`: "" = the default. `labels`: SELinux's."""

    no_new_privileges: bool = False
    writable_cgroups: bool | None = None
    unconfined_system_paths: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()


def parse_security_options(options: Iterable[str], defaults: SecurityOptions | None = None) -> SecurityOptions:
    """Raises Invalid for an option that nobody knows, with Docker's text."""
    found = defaults or SecurityOptions()
    for option in options:
        found = _with_option(found, option)
    return found


def _with_option(found: SecurityOptions, option: str) -> SecurityOptions:
    if option in ("no-new-privileges", "writable-cgroups", "disable"):
        option = "label=disable" if option == "disable" else f"{option}=true"
    separator = "=" if "=" in option else ":"
    key, has_value, value = option.partition(separator)
    if not has_value:
        raise Invalid(f'invalid --security-opt 1: "{option}"', reason="bad-security-opt")
    match key:
        case "label":
            return replace(found, labels=(*found.labels, value))
        case "seccomp":
            return replace(found, seccomp=value)
        case "apparmor":
            return replace(found, apparmor=value)
        case "no-new-privileges":
            return replace(found, no_new_privileges=_boolean(value, option))
        case "writable-cgroups":
            return replace(found, writable_cgroups=_boolean(value, option))
        case "systempaths" if value == UNCONFINED:
            return replace(found, unconfined_system_paths=True)
    raise Invalid(f'invalid --security-opt 2: "{option}"', reason="bad-security-opt")


def _boolean(text: str, option: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        raise Invalid(f'invalid --security-opt 2: "{option}"', reason="bad-security-opt") from None
