"""Numbers for people, in Docker's spelling: sizes, durations, moments, shortened texts."""

from time import localtime, strftime, time

DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
MINUTE, HOUR, DAY = 60, 3600, 86400
STEPS = ((2 * 7 * DAY, DAY, "days"), (2 * 30 * DAY, 7 * DAY, "weeks"), (2 * 365 * DAY, 30 * DAY, "months"))


def human_size(size: float, digits: int = 4) -> str:
    """Bytes by powers of 1000: `1.98MB` with three digits, `1.982MB` with four."""
    return _scaled(size, 1000, DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes by powers of 1024: `720KiB`."""
    return _scaled(size, 1024, BINARY, 4)


def _scaled(size: float, step: int, units: tuple[str, ...], digits: int) -> str:
    at = 0
    value = float(size)
    while value >= step and at < len(units) - 1:
        value /= step
        at += 1
    return f"{value:.{digits}g}{units[at]}"


def human_duration(seconds: float) -> str:
    """`Less than a second`, `3 minutes`, `About an hour`, `2 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < HOUR:
        minutes = whole // MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / HOUR + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    rounded = hours * HOUR
    for limit, unit, name in STEPS:
        if rounded < limit:
            return f"{rounded // unit} {name}"
    return f"{whole // HOUR // 24 // 365} years"


def ago(moment: float) -> str:
    """How long ago a Unix time was."""
    return f"{human_duration(time() - moment)} ago"


def go_time(moment: float) -> str:
    """As Go prints a moment of whole seconds, in the local zone: `2026-11-24 04:03:00 +0000 UTC`."""
    return strftime("%Y-%m-%d %H:%M:%S %z %Z", localtime(moment))


def rfc3339(moment: float) -> str:
    """Whole seconds, in the local zone: `2026-11-24T04:03:00Z`."""
    text = strftime("%Y-%m-%dT%H:%M:%S%z", localtime(moment))
    return text[:-5] + ("Z" if text.endswith("+0000") else f"{text[-5:-2]}:{text[-2:]}")


def parse_rfc3339(text: str) -> float:
    """Unix time of the engine's moments; nanoseconds are cut to microseconds."""
    from datetime import datetime

    head, dot, fraction = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text).timestamp()
    digits = fraction.rstrip("Zz")
    zone = "Z" if digits != fraction else ""
    at = next((i for i, c in enumerate(digits) if c in "+-"), len(digits))
    return datetime.fromisoformat(f"{head}.{digits[:at][:6].ljust(6, '0')}{digits[at:]}{zone}").timestamp()


def ellipsis(text: str, width: int) -> str:
    """At most `width` characters, the last one an ellipsis when some were cut."""
    if width <= 0:
        return ""
    if len(text) <= width:
        return text
    return text[:1] if width == 1 else text[: width - 1] + "…"


def short_id(text: str) -> str:
    """Twelve digits, without the algorithm before them."""
    return text.rpartition(":")[2][:12] if ":" in text else text[:12]
