"""Which system calls a container may make: Docker's default profile, or the user's in Docker's format, as OCI `linux.seccomp`.

Docker's format is OCI's plus conditions ("includes", "excludes": capabilities, architectures, kernel version) and `archMap`; both
are settled here, so the result is plain OCI. The program is compiled by the runtime, which keeps it by its content.
"""

import json
import platform
from collections.abc import Collection
from typing import Any

from corten.engine.spec import seccomp_default as default
from corten.errors import Invalid

_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_ENOSYS = 38


def default_profile(capabilities: Collection[str], machine: str) -> dict[str, Any]:
    """Docker's profile for a container with these capabilities (`CAP_...`) in its bounding set."""
    names = [default.ALWAYS, default.BY_ARCHITECTURE.get(machine, "")]
    names += [text for capability, text in default.BY_CAPABILITY.items() if capability in capabilities]
    rules: list[dict[str, Any]] = [{"names": sorted(set(" ".join(names).split())), "action": _ALLOW}]
    rules += [_when("personality", "EQ", value) for value in default.PERSONALITIES]
    low, high = default.REFUSED_SOCKET_FAMILIES
    between = [_when("socket", "EQ", family) for family in range(low + 1, high)]
    rules += [_when("socket", "LT", low), *between, _when("socket", "GT", high)]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append(_when("clone", "MASKED_EQ", default.NEW_NAMESPACE_FLAGS))
        rules.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS})
    architectures = list(default.ARCHITECTURES.get(machine, ()))
    return {"defaultAction": _ERRNO, "defaultErrnoRet": 1, "architectures": architectures, "syscalls": rules}


def load_profile(text: str, capabilities: Collection[str], machine: str, kernel: str = "") -> dict[str, Any] | None:
    """The user's profile (JSON text) for such a container; None when it says nothing, which means unconfined.

    Raises Invalid with Docker's wording for text that is no profile.
    """
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise Invalid(f"Decoding seccomp profile failed: {error}", reason="bad-seccomp-profile") from error
    if not isinstance(profile, dict):
        raise Invalid("Decoding seccomp profile failed: not a JSON object", reason="bad-seccomp-profile")
    if not profile.get("defaultAction") and not profile.get("syscalls"):
        return None
    found = {
        key: profile[key] for key in ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata") if key in profile
    }
    conditions = _Conditions(capabilities, machine, kernel or platform.release())
    found["architectures"] = _architectures(profile, machine)
    found["syscalls"] = [_rule(rule) for rule in profile.get("syscalls") or [] if conditions.hold(rule)]
    return found


def _when(name: str, op: str, value: int) -> dict[str, Any]:
    return {"names": [name], "action": _ALLOW, "args": [{"index": 0, "value": value, "op": f"SCMP_CMP_{op}"}]}


def _architectures(profile: dict[str, Any], machine: str) -> list[str]:
    listed, mapped = profile.get("architectures") or [], profile.get("archMap") or []
    if listed and mapped:
        raise Invalid(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
            reason="bad-seccomp-profile",
        )
    native = default.ARCHITECTURES.get(machine, ("",))[0]
    for entry in mapped:
        if entry.get("architecture") == native:
            return [native, *(entry.get("subArchitectures") or [])]
    return list(listed)


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    names = rule.get("names") or []
    if rule.get("name"):
        if names:
            raise Invalid(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'", reason="bad-seccomp-profile"
            )
        names = [rule["name"]]
    found = {"names": names, "action": rule.get("action", "")}
    return found | {key: rule[key] for key in ("errnoRet", "args") if rule.get(key) is not None}


class _Conditions:
    """What `includes` and `excludes` are held against."""

    __slots__ = ("_arch", "_capabilities", "_kernel")

    def __init__(self, capabilities: Collection[str], machine: str, kernel: str) -> None:
        self._capabilities = capabilities
        self._arch = _GO_ARCH.get(machine, machine)
        self._kernel = _version(kernel)

    def hold(self, rule: dict[str, Any]) -> bool:
        """All of `includes` must be true, and nothing of `excludes`."""
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if any(self._facts(excludes)):
            return False
        arches = includes.get("arches") or []
        needed = [arch == self._arch for arch in arches]
        return (not arches or any(needed)) and all(self._facts({k: v for k, v in includes.items() if k != "arches"}))

    def _facts(self, conditions: dict[str, Any]) -> list[bool]:
        facts = [arch == self._arch for arch in conditions.get("arches") or []]
        facts += [capability in self._capabilities for capability in conditions.get("caps") or []]
        if conditions.get("minKernel"):
            facts.append(self._kernel >= _version(conditions["minKernel"]))
        return facts


def _version(text: str) -> tuple[int, int]:
    """Major and minor of `6.18.44-fc`."""
    numbers = []
    for part in text.split(".")[:2]:
        digits = part[: next((i for i, c in enumerate(part) if not c.isdecimal()), len(part))]
        numbers.append(int(digits or 0))
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0)
