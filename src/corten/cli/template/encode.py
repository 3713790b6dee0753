"""JSON as Go's encoder writes it."""

import json
from typing import Any

from corten.cli.template.values import Nil, NoValue, Record


def _plain(value: Any) -> Any:
    """What json's encoder does not know: nils and rows. A row is an object of all its fields without parameters, sorted by name."""
    if isinstance(value, Nil | NoValue):
        return None
    if isinstance(value, Record):
        return {n: value.getters[n](value.data) for n in sorted(value.getters) if n not in PARAMETERIZED}
    raise TypeError(type(value).__name__)


PARAMETERIZED = frozenset({"Label"})
"""Fields that need an argument are no part of a row's JSON."""
HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
LINE_ESCAPES = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(value: Any, *, indent: str | None = None) -> str:
    """Compact JSON (or indented), without ASCII escapes. Rows of lists come with `<`, `>` and `&` escaped, as Docker prints them."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, default=_plain, indent=indent)
    if isinstance(value, Record):
        for plain, escaped in HTML_ESCAPES.items():
            text = text.replace(plain, escaped)
    for plain, escaped in LINE_ESCAPES.items():
        if plain in text:
            text = text.replace(plain, escaped)
    return text
