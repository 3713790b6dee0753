"""Device access rules, reduced to what they mean: a default and the exceptions from it.

OCI `linux.resources.devices` is a list in which the last matching rule wins. Both kernels' forms need it digested:
v1's devices.allow/deny files cannot express an allow followed by a narrower deny without care, and the v2 program
must not contain an instruction that can never run.
"""

from typing import Any, NamedTuple

WILDCARD = -1


class Rule(NamedTuple):
    """`type` is c, b, or a for both; major and minor may be WILDCARD; `access` is a subset of "rwm"."""

    allow: bool
    type: str
    major: int
    minor: int
    access: str

    def line(self) -> str:
        """As devices.allow and devices.deny want it."""
        major, minor = ("*" if number == WILDCARD else number for number in (self.major, self.minor))
        return f"{self.type} {major}:{minor} {self.access}"

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
        elif rule not in rules:
            rules.append(rule)
    return Policy(allow, tuple(rules))
