"""Device access rules, reduced to what they mean: a default and the exceptions from it.

OCI `linux.resources.devices` is a list in which the last matching rule wins. Both kernels' forms need it digested:
v1's devices.allow/deny files cannot express an allow followed by a narrower deny without care, and the v2 program
must not contain an instruction that can never run.
"""

from typing import Any, NamedTuple

WILDCARD = -1


Device = tuple[str, int, int]
"""Type (c or b), major, minor; either number may be WILDCARD."""


class Rule(NamedTuple):
    """`type` is c, b, or a for both; major and minor may be WILDCARD; `access` is a subset of "rwm"."""

    allow: bool
    type: str
    major: int
    minor: int
    access: str

    def covers(self, device: "Device") -> bool:
        """Whether it speaks of every device that `device` means."""
        return all(mine in (WILDCARD, its) for mine, its in zip((self.major, self.minor), device[1:], strict=True))

    def touches(self, device: "Device") -> bool:
        """Whether it speaks of some device that `device` means."""
        return all(WILDCARD in (mine, its) or mine == its for mine, its in zip((self.major, self.minor), device[1:], strict=True))

    def is_catch_all(self) -> bool:
        return self.type == "a" and self.major == self.minor == WILDCARD and set(self.access) == set("rwm")


def parse_rule(entry: dict[str, Any]) -> Rule:
    """One element of `linux.resources.devices`. Absent means "every"; a rule without access means all of it."""
    kind = entry.get("type") or "a"
    if kind not in ("a", "b", "c", "u", "p"):
        raise ValueError(f"unknown device type {kind!r}: a, b or c")
    access = entry.get("access") or "rwm"
    if not set(access) <= set("rwm"):
        raise ValueError(f"unknown device access {access!r}: some of r, w, m")
    numbers = [WILDCARD if entry.get(key) in (None, -1) else int(entry[key]) for key in ("major", "minor")]
    return Rule(bool(entry.get("allow")), "c" if kind == "u" else kind, numbers[0], numbers[1], access)


class Policy(NamedTuple):
    """What is true of a device that no rule names, and the rules, oldest first, that follow the last catch-all."""

    allow_by_default: bool
    rules: tuple[Rule, ...]

    def allows_everything(self) -> bool:
        return self.allow_by_default and all(rule.allow for rule in self.rules)


def digest_rules(entries: list[dict[str, Any]]) -> Policy:
    """The policy of an OCI list. Without any catch-all the default is to deny, as runc has it."""
    allow = False
    rules: list[Rule] = []
    for rule in map(parse_rule, entries):
        if rule.is_catch_all():
            allow, rules = rule.allow, []
        else:
            # Of equal rules the last one decides, so it is the first that goes: a deny said again after an allow must deny again.
            rules = [*(earlier for earlier in rules if earlier != rule), rule]
    return Policy(allow, tuple(rules))


def exceptions_of(policy: Policy) -> dict[Device, str]:
    """The policy as v1 keeps it: which access ("rwm" letters) of which devices is not as the default has it.

    Raises ValueError for what v1 cannot keep: taking one device back out of a wildcard that was granted (or denied) before.
    """
    found: dict[Device, str] = {}
    for rule in policy.rules:
        for kind in ("b", "c") if rule.type == "a" else (rule.type,):
            if rule.allow != policy.allow_by_default:
                device = (kind, rule.major, rule.minor)
                found[device] = _letters(found.get(device, "") + rule.access)
            else:
                _take_back(found, kind, rule)
    return {device: access for device, access in found.items() if access}


def _take_back(found: dict[Device, str], kind: str, rule: Rule) -> None:
    for device, access in found.items():
        if device[0] != kind or not rule.touches(device) or not set(access) & set(rule.access):
            continue
        if not rule.covers(device):
            raise ValueError(f"cgroup v1 cannot make an exception from the wildcard rule {device_line(device, access)!r}")
        found[device] = "".join(letter for letter in access if letter not in rule.access)


def _letters(access: str) -> str:
    return "".join(letter for letter in "rwm" if letter in access)


def device_line(device: Device, access: str) -> str:
    """As devices.allow, devices.deny and devices.list have it."""
    kind, *numbers = device
    major, minor = ("*" if number == WILDCARD else number for number in numbers)
    return f"{kind} {major}:{minor} {access}"


def parse_device_lines(text: str) -> dict[Device, str]:
    """devices.list of a cgroup that denies by default."""
    found: dict[Device, str] = {}
    for line in text.splitlines():
        kind, number, access = line.split(" ")
        major, minor = (WILDCARD if part == "*" else int(part) for part in number.split(":"))
        found[kind, major, minor] = access
    return found
