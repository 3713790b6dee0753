"""The marks by which the daemon clears away by itself: `gc` in daemon.json, `--gc` on the command line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class GcMarks:
    """When and what the daemon clears away by itself. `high`, `low`: percent of the disk that is used; `keep`, `trash`: seconds.

    Above `high` it begins, at `low` it stops; what was used within `keep` stays; `pin`: patterns of image names and ids of cache mounts
    that always stay; `trash`: for how long removed volumes and images can be had back (0: not at all); `images`: whether images that
    have a name may go, too, when a registry has them.
    """

    high: int = 90
    low: int = 80
    keep: int = 7 * 86400
    pin: tuple[str, ...] = ()
    trash: int = 7 * 86400
    images: bool = False


def parse_marks(text: str) -> GcMarks:
    """`high=85%,low=75%,keep=72h,pin=python:*`. Raises ValueError with a sentence."""
    return _marks((name, value) for name, _, value in (part.partition("=") for part in text.split(",")))


def marks_from_json(value: Mapping[str, Any]) -> GcMarks:
    """`{"high": "85%", "pin": ["python:*"]}`. Raises ValueError or AttributeError."""
    return _marks((name, item) for name, given in value.items() for item in (given if isinstance(given, list) else [given]))


def _marks(pairs: Iterable[tuple[str, Any]]) -> GcMarks:
    """Marks from names and values as people write them. Raises ValueError with a sentence."""
    known: dict[str, Any] = {"pin": (), "images": True}
    for name, value in pairs:
        if name not in _READERS:
            raise ValueError(f"unknown mark {name}: known are {', '.join(sorted(_READERS))}")
        read = _READERS[name](str(value))
        known[name] = (*known["pin"], read) if name == "pin" else read
    marks = GcMarks(**known)
    if not 0 < marks.low < marks.high <= 100:
        raise ValueError(f"low ({marks.low}%) must be below high ({marks.high}%), both between 1% and 100%")
    return marks


def _read_percent(text: str) -> int:
    number = text.removesuffix("%")
    if not number.isdecimal():
        raise ValueError(f"{text} is no percentage")
    return int(number)


def _read_seconds(text: str) -> int:
    """`72h`, `90m`, `7d`, `0`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 0 if text == "0" else -1)
    if unit < 0 or not number.isdecimal():
        raise ValueError(f"{text} is no duration like 72h or 7d")
    return int(number) * unit


def _read_switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{text} is neither true nor false")
    return text.lower() in ("true", "1")


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "high": _read_percent,
    "low": _read_percent,
    "keep": _read_seconds,
    "pin": str,
    "trash": _read_seconds,
    "images": _read_switch,
}
