"""Moments on the command line: `--since 42m`, `--until 2013-01-02T13:23:37Z`."""

from time import time, time_ns

from corten.quoting import go_quoted
from corten.units import parse_duration

SHAPES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def parse_moment(text: str) -> str:
    """Unix seconds, with nanoseconds behind a dot when `text` has them. A duration counts back from now. Raises ValueError."""
    try:
        if text == "0":  # the beginning of time, not "now"
            return text
        return str((time_ns() - parse_duration(text)) // 10**9)
    except ValueError:
        pass
    if text.partition(".")[0].isdecimal() and text.replace(".", "", 1).isdecimal():
        return text
    return _timestamp(text)


def _timestamp(text: str) -> str:
    """RFC 3339 or the beginning of it; without a zone it is the local one."""
    from datetime import datetime

    body, zone = text, ""
    if "T" in text:
        day, _, clock = text.partition("T")
        at = next((i for i, c in enumerate(clock) if c in "Z+-"), len(clock))
        body, zone = f"{day}T{clock[:at]}", clock[at:].replace("Z", "+0000").replace(":", "")
    elif text.endswith("Z"):
        body, zone = text[:-1], "+0000"
    body, dot, fraction = body.partition(".")
    for shape in SHAPES:
        try:
            moment = datetime.strptime(body + zone, shape + ("%z" if zone else ""))
        except ValueError:
            continue
        seconds = int(moment.timestamp())
        return f"{seconds}.{fraction[:9].ljust(9, '0')}" if dot else f"{seconds}.000000000"
    raise ValueError(f"failed to parse value as time or duration: {go_quoted(text)}")


def event_moment(text: str, *, now: float | None = None) -> str:
    """As `parse_moment`; an empty text stays empty."""
    return parse_moment(text) if text else "" if now is None else str(int(time()))
