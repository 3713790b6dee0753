"""Times as logs spell them: RFC 3339 in UTC with nanoseconds.

The file has Go's RFC3339Nano (no trailing zeros in the fraction); what users see has nine digits always. In that fixed form
comparing text is comparing times, so bounds are turned into text once and no line's time is ever parsed.
"""

import time

_SECOND = 1_000_000_000


def fixed(ns: int) -> str:
    """`2026-11-24T04:08:44.963546700Z` of nanoseconds since the epoch."""
    seconds, fraction = divmod(ns, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"


def trimmed(ns: int) -> str:
    """`2026-11-24T04:08:44.9635467Z`: as it stands in the file."""
    text = fixed(ns)[:-1].rstrip("0")
    return text.removesuffix(".") + "Z"


def to_fixed(text: bytes) -> bytes:
    """The fixed form of a time from a file (UTC, "Z")."""
    if len(text) == 30:
        return text
    whole, _, fraction = text.removesuffix(b"Z").partition(b".")
    return b"%s.%sZ" % (whole, fraction.ljust(9, b"0"))


class Clock:
    """The time of now in the file's spelling, formatting the calendar part once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def spell(self, ns: int) -> str:
        second, fraction = divmod(ns, _SECOND)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        if not fraction:
            return self._prefix + "Z"
        return f"{self._prefix}.{fraction:09d}".rstrip("0") + "Z"
