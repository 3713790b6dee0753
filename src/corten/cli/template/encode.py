"""JSON as Go's encoder writes it."""

import json
from collections.abc import Sequence
from typing import Any

from corten.cli.template.values import Nil, NoValue, Record

PARAMETERIZED = frozenset({"Label"})
"""Fields that need an argument are no part of a row's JSON."""
HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
LINE_ESCAPES = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(value: Any, *, indent: str | None = None) -> str:
    """Compact JSON (or indented), without ASCII escapes. With rows of lists in it `<`, `>` and `&` are escaped, as Docker does."""
    has_rows = False

    def plain(unknown: Any) -> Any:
        """Nils and rows. A row is an object of all its fields without parameters, sorted by name."""
        nonlocal has_rows
        if isinstance(unknown, Nil | NoValue):
            return None
        if isinstance(unknown, Record):
            has_rows = True
            return {n: unknown.getters[n](unknown.data) for n in sorted(unknown.getters) if n not in PARAMETERIZED}
        raise TypeError(type(unknown).__name__)

    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, default=plain, indent=indent)
    for raw, escaped in (HTML_ESCAPES | LINE_ESCAPES if has_rows else LINE_ESCAPES).items():
        if raw in text:
            text = text.replace(raw, escaped)
    return text


def as_json(objects: Sequence[Any]) -> str:
    """An array as `inspect` prints it: four spaces deep per level."""
    return go_json(list(objects), indent="    ") if objects else "[]"
