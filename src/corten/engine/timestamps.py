"""Moments as users write them: a Unix time with or without a fraction, RFC 3339, or how long ago ("1h30m"). All in ns."""

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from corten.errors import Invalid
from corten.units import parse_duration

_UNIX = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?")
_EPOCH = datetime.fromtimestamp(0, UTC)


def parse_unix(text: str) -> int:
    """`1136073600.000000001`. Raises Invalid in Go's words."""
    match = _UNIX.fullmatch(text)
    if match is None:
        raise Invalid(f'strconv.ParseInt: parsing "{text}": invalid syntax', reason="bad-time")
    if len(match[1]) > 18:
        raise Invalid(f'strconv.ParseInt: parsing "{text}": value out of range', reason="bad-time")
    return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))


def parse_moment(text: str) -> int:
    """Any of the three forms; a duration counts back from now. Raises Invalid."""
    if _UNIX.fullmatch(text):
        return parse_unix(text)
    with suppress(ValueError):
        return time.time_ns() - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Invalid(f'failed to parse value as time or duration: "{text}"', reason="bad-time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def format_moment(ns: int) -> str:
    """RFC 3339 with nanoseconds as Go writes it (no trailing zeros); 0 is Go's zero time."""
    if ns == 0:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(ns, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
