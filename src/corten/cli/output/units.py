"""Moments and shortened texts in Docker's spelling."""

from time import localtime, strftime, time

from corten.units import human_duration


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
