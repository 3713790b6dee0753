"""Go's duration text ("1h30m", "1.5s", "300ms") in nanoseconds."""

import re

UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> int | None:
    """None for what Go would not read."""
    sign = -1 if text.startswith("-") else 1
    body = text.lstrip("+-") if text[:1] in "+-" else text
    if body == "0":
        return 0
    if not body or not re.fullmatch(f"(?:{_PART.pattern})+", body):
        return None
    return sign * sum(round(float(number) * UNITS[unit]) for number, unit in _PART.findall(body))
