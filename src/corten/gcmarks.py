"""The marks by which the daemon clears away by itself: `gc` in daemon.json, `--gc` on the command line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class GcMarks:
    """`high`, `low`: percent of the disk that is used; `trash`: seconds.

    Above `high` the trash is emptied, the longest in it first, until the disk is down at `low`; `trash`: for how long removed volumes
    and images can be had back (0: not at all).
    """

    high: int = 90
    low: int = 80
    trash: int = 7 * 86400


def parse_marks(text: str) -> GcMarks:
    """`high=85%,low=75%,trash=72h`. Raises ValueError with a sentence."""
    return _marks((name, value) for name, _, value in (part.partition("=") for part in text.split(",")))


def marks_from_json(value: Mapping[str, Any]) -> GcMarks:
    """`{"high": "85%", "trash": "72h"}`. Raises ValueError or AttributeError."""
    return _marks(value.items())


def _marks(pairs: Iterable[tuple[str, Any]]) -> GcMarks:
    """Marks from names and values as people write them. Raises ValueError with a sentence."""
    known: dict[str, int] = {}
    for name, value in pairs:
        if name not in _READERS:
            raise ValueError(f"unknown mark {name}: known are {', '.join(sorted(_READERS))}")
        known[name] = _READERS[name](str(value))
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


_READERS: Final[Mapping[str, Callable[[str], int]]] = {"high": _read_percent, "low": _read_percent, "trash": _read_seconds}
