"""Finds the row of the route table that a method and path mean. As in Docker, a parameter may hold slashes (image names)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from corten.api.request import Handler
from corten.api.versions import MINIMUM, Version

_VERSIONED: Final = re.compile(r"/v([0-9.]+)(/.*)", re.DOTALL)
_PARAMETER: Final = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `{name}` in the template is a parameter; `since` is the API version that brought it."""

    method: str
    template: str
    handler: Handler
    since: Version = MINIMUM


class Match(NamedTuple):
    route: Route
    params: dict[str, str]


def split_version(path: str) -> tuple[str, str]:
    """`/v1.51/info` → ("1.51", "/info"); without a version the first is empty."""
    match = _VERSIONED.fullmatch(path)
    return (match[1], match[2]) if match else ("", path)


class Router:
    def __init__(self, routes: Sequence[Route]) -> None:
        """Fixed paths win over parameters; among parameters the table's order decides."""
        self._fixed = {(route.method, route.template): Match(route, {}) for route in routes if "{" not in route.template}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            if "{" in route.template:
                key = (route.method, _first_member(route.template))
                self._patterns.setdefault(key, []).append((_compile(route.template), route))

    def find(self, method: str, path: str) -> Match | None:
        """`path` is decoded and without its version."""
        if fixed := self._fixed.get((method, path)):
            return fixed
        for pattern, route in self._patterns.get((method, _first_member(path)), ()):
            if match := pattern.fullmatch(path):
                return Match(route, match.groupdict())
        return None


def _first_member(path: str) -> str:
    return path[1:].partition("/")[0]


def _compile(template: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(r"(?P<\1>.+)", re.escape(template)), re.DOTALL)
