"""What checks look at, and what they find."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from corten.build.dockerfile import instructions as ins
from corten.ignore import IgnoreRules


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    message: str
    line: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LintInput:
    """`values` are the global variables with what the user gave, `defaults` without; `environments` those of base images by name."""

    file: ins.Dockerfile
    values: Mapping[str, str]
    defaults: Mapping[str, str]
    declared: frozenset[str] = frozenset()
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ignored: IgnoreRules | None = None


def at(rule: str, message: str, place: ins.SourceLocation) -> Finding:
    return Finding(rule, message, place.start, place.end)
