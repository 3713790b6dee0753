"""The marks by which the daemon clears away by itself: `gc` in daemon.json, `--gc` on the command line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

_UNITS: Final = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True, slots=True)
class Level:
    """How full a disk is: in percent (1 to 100), or in bytes (more than 100)."""

    amount: int

    @property
    def is_percent(self) -> bool:
        return self.amount <= 100

    def of(self, total: int) -> int:
        """Bytes, of a disk of `total`."""
        return total * self.amount // 100 if self.is_percent else min(self.amount, total)

    def __str__(self) -> str:
        if self.is_percent:
            return f"{self.amount}%"
        unit, size = next(((u, s) for u, s in reversed(_UNITS.items()) if self.amount >= s), ("", 1))
        return f"{self.amount / size:g}{unit}B"


@dataclass(frozen=True, slots=True, kw_only=True)
class GcMarks:
    """Times are seconds.

    Fuller than `high`, the disk is cleared until it is down at `low`. `trash`: for how long removed volumes and images can be had back (0:
    not at all). `keep`: images and build cache that were not used for so long may go; None: they never go by themselves, only the trash
    does. `pin`: names and patterns of what never goes.
    """

    high: Level = Level(90)
    low: Level = Level(80)
    trash: int = 7 * 86400
    keep: int | None = None
    pin: tuple[str, ...] = ()

    def pinned_by(self, names: Iterable[str]) -> str:
        """The pattern that one of `names` matches, "" if none does."""
        known = list(names)
        return next((pattern for pattern in self.pin if any(fnmatchcase(name, pattern) for name in known)), "")


def parse_marks(text: str) -> GcMarks:
    """`high=85%,low=400GB,trash=72h,keep=14d,pin=pytorch/*,pin=base`. Raises ValueError with a sentence."""
    return _marks((name, value) for name, _, value in (part.partition("=") for part in text.split(",")))


def marks_from_json(value: Mapping[str, Any]) -> GcMarks:
    """`{"high": "85%", "trash": "72h", "pin": ["pytorch/*"]}`. Raises ValueError or AttributeError."""
    pairs = [(name, one) for name, given in value.items() for one in (given if isinstance(given, list) else [given])]
    return _marks(pairs)


def parse_level(text: str) -> Level:
    """`85%`, `400GB`, `1.5T`, bytes. Raises ValueError."""
    if text.endswith("%"):
        number = text.removesuffix("%")
        if not number.isdecimal() or not 0 < int(number) <= 100:
            raise ValueError(f"{text} is no percentage")
        return Level(int(number))
    number = text.upper().removesuffix("B").removesuffix("I")
    factor = _UNITS.get(number[-1:], 1)
    try:
        size = int(float(number[:-1] if factor > 1 else number) * factor)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is neither a percentage like 85% nor a size like 400GB") from None
    if size <= 100:
        raise ValueError(f"{text} is neither a percentage like 85% nor a size like 400GB")
    return Level(size)


def parse_seconds(text: str) -> int:
    """`72h`, `90m`, `7d`, `0`. Raises ValueError."""
    number, unit = (text[:-1], _SECONDS[text[-1]]) if text[-1:] in _SECONDS else (text, 0 if text == "0" else -1)
    if unit < 0 or not number.isdecimal():
        raise ValueError(f"{text} is no duration like 72h or 7d")
    return int(number) * unit


def format_seconds(seconds: int) -> str:
    """In the largest unit that fits: `14d`."""
    unit, length = next(((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60)) if seconds and seconds % s == 0), ("s", 1))
    return f"{seconds // length}{unit}"


def _marks(pairs: Iterable[tuple[str, Any]]) -> GcMarks:
    """Marks from names and values as people write them. Raises ValueError with a sentence."""
    known: dict[str, Any] = {}
    pins: list[str] = []
    for name, value in pairs:
        if name == "pin" and value:
            pins.append(str(value))
        elif name in _READERS:
            known[name] = _READERS[name](str(value))
        else:
            raise ValueError(f"unknown mark {name}: known are {', '.join(sorted([*_READERS, 'pin']))}")
    marks = GcMarks(**known, pin=tuple(pins))
    if marks.low.is_percent == marks.high.is_percent and not marks.low.amount < marks.high.amount:
        raise ValueError(f"low ({marks.low}) must be below high ({marks.high})")
    return marks


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "high": parse_level,
    "low": parse_level,
    "trash": parse_seconds,
    "keep": parse_seconds,
}
