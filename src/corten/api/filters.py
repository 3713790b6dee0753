"""The `filters` query value: `{"label":["a","b"]}` and the older `{"label":{"a":true}}`, with Docker's error texts."""

from collections.abc import Collection
from typing import Any

import msgspec

from corten.engine.timestamps import parse_moment
from corten.errors import Invalid
from corten.units import FALSE, TRUE


def parse_filters(text: str, accepted: Collection[str] | None) -> dict[str, list[str]]:
    """Values by filter name, in the client's order. Raises Invalid for bad JSON and for names not in `accepted` (None = any name)."""
    if not text:
        return {}
    filters = {name: _read_values(values) for name, values in _read_object(text).items()}
    for name in filters:
        if accepted is not None and name not in accepted:
            raise Invalid(f"invalid filter '{name}'", reason="bad-filter", hint=f"known filters: {', '.join(sorted(accepted))}")
    return filters


def filter_bool(filters: dict[str, list[str]], name: str, default: bool = False) -> bool:
    """A filter that is one boolean (`dangling`, `all`). Raises Invalid for anything but 1, true, 0, false, or for both at once."""
    values = set(filters.get(name, ()))
    if not values:
        return default
    if values <= {"1", "true"}:
        return True
    if values <= {"0", "false"}:
        return False
    raise Invalid(f"invalid filter '{name}=[{' '.join(sorted(values))}]'", reason="bad-filter")


def filter_parsed_bool(filters: dict[str, list[str]], name: str) -> bool:
    """As `filter_bool`, for filters that take one value in Go's forms. Raises Invalid in Docker's words."""
    values = filters.get(name, ())
    if len(values) > 1:
        raise Invalid(f"invalid filter '{name}=[{' '.join(values)}]': only one value is expected", reason="bad-filter")
    for value in values:
        if value not in TRUE | FALSE:
            text = f"invalid filter '{name}': strconv.ParseBool: parsing \"{value}\": invalid syntax"
            raise Invalid(text, reason="bad-filter")
    return any(value in TRUE for value in values)


def filter_until(filters: dict[str, list[str]]) -> int:
    """The moment that `until` gives, in ns since the epoch; 0 without it. Raises Invalid, also for more than one."""
    values = filters.get("until", ())
    if len(values) > 1:
        raise Invalid("more than one until filter specified", reason="bad-filter")
    return parse_moment(values[0]) if values else 0


def _read_object(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # nested deeper than any filter is
        value = None
    if not isinstance(value, dict):
        raise Invalid("invalid filter", reason="bad-filter")
    return value


def _read_values(values: Any) -> list[str]:
    if isinstance(values, dict) and all(isinstance(chosen, bool) for chosen in values.values()):
        return [value for value, chosen in values.items() if chosen]
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return values
    raise Invalid("invalid filter", reason="bad-filter")
