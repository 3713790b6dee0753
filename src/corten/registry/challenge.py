"""`WWW-Authenticate` challenges as registries send them (RFC 9110 §11.6.1). No I/O."""

import re
from dataclasses import dataclass, field

_PART = re.compile(
    r'\s*,?\s*(?:(?P<key>[A-Za-z0-9_.-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s,"]+))|(?P<scheme>[A-Za-z0-9_.-]+))'
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` is lower case; keys of `parameters` too."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Every challenge of one or several joined headers; what cannot be read is skipped."""
    found: list[Challenge] = []
    position = 0
    while match := _PART.match(header, position):
        position = match.end()
        if match["scheme"]:
            found.append(Challenge(match["scheme"].lower()))
        elif found:
            quoted = match["quoted"]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match["token"]
            found[-1].parameters[match["key"].lower()] = value
    return found
