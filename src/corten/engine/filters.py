"""Filters that lists and prunes share."""

from collections.abc import Iterable, Mapping


def has_labels(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Whether all of `key` and `key=value` hold."""
    for item in wanted:
        key, has_value, value = item.partition("=")
        if key not in labels or (has_value and labels[key] != value):
            return False
    return True
