"""When an image and its steps were made.

A reproducible build has one time, its epoch, for all of its files and steps. In any other a file keeps its own time, and a step has the
time of its execution: out of the cache it keeps that, so that a build in which nothing changed gives the image that is there already.
An instruction that makes no files gets the time of the step before it, or of the first one of the build, as BuildKit has it.
"""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from corten.build.options import BuildOptions
from corten.oci.image import History

_FRACTION = re.compile(r"\.(\d+)")
UNDATED = ""
"""The time of a history's entry until `dated` gives it one."""


def date_key(options: BuildOptions) -> tuple[str, ...]:
    """Part of every cache key, for layers of the two kinds of builds must not be taken for each other."""
    return () if options.has_one_time else ("own times",)


def format_time(ns: int) -> str:
    """RFC 3339 with nanoseconds; `ns` since the epoch."""
    seconds, fraction = divmod(ns, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def parse_time(text: str) -> int | None:
    """`format_time`'s form in ns since the epoch; None for what is no time."""
    seconds = seconds_of(text)
    fraction = _FRACTION.search(text)
    return None if seconds is None else seconds * 10**9 + int((fraction[1] if fraction else "").ljust(9, "0")[:9])


def seconds_of(created: str | None) -> int | None:
    """Since the epoch; None for what is no time."""
    try:
        return int(datetime.fromisoformat(created).timestamp()) if created else None
    except ValueError:
        return None


def is_undated(history: Sequence[History]) -> bool:
    return any(entry.created == UNDATED for entry in history)


def dated(history: Sequence[History]) -> tuple[History, ...]:
    """With a time for each entry that has none: that of the first dated one behind the first undated, later that of the last one before."""
    current = _first(history)
    undated = False
    found = []
    for entry in history:
        if entry.created != UNDATED:
            current = entry.created if undated else current
            found.append(entry)
        else:
            undated = True
            found.append(msgspec.structs.replace(entry, created=current))
    return tuple(found)


def latest(history: Sequence[History]) -> str | None:
    """The latest time in it, as it stands there."""
    moments = [(moment, entry.created) for entry in history if (moment := _moment(entry.created)) is not None]
    return max(moments)[1] if moments else None


def _first(history: Sequence[History]) -> str | None:
    found: str | None = None
    undated = False
    for entry in history:
        if entry.created == UNDATED:
            undated = True
        elif entry.created:
            found = entry.created
            if undated:
                break
    return found


def _moment(created: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(created or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
