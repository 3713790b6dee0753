"""What the daemon's garbage collection keeps: `gc` in daemon.json or `--gc`, and Docker's rules for build cache, `builder.gc`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from corten.units import binary_size, format_calendar_duration, parse_duration, parse_size

_NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A share of a disk: in percent (1 to 100), or in bytes (more than 100)."""

    amount: int

    @property
    def is_percent(self) -> bool:
        return self.amount <= 100

    def of(self, total: int) -> int:
        """Bytes, of a disk of `total`."""
        return total * self.amount // 100 if self.is_percent else min(self.amount, total)

    def __str__(self) -> str:
        return f"{self.amount}%" if self.is_percent else binary_size(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class GcPolicy:
    """Times are seconds.

    Fuller than `high`, garbage is collected until it is down at `low`. `trash`: how long removed volumes and images can be restored (0: not
    at all). `keep`: images and build cache not used for so long may be removed; None: they never are, only the trash is. `pin`: names and
    patterns of what is never removed.
    """

    high: DiskSpace = DiskSpace(90)
    low: DiskSpace = DiskSpace(80)
    trash: int = 7 * 86400
    keep: int | None = None
    pin: tuple[str, ...] = ()

    def pinned_by(self, names: Iterable[str]) -> str:
        """The pattern that one of `names` matches, "" if none does."""
        known = list(names)
        return next((pattern for pattern in self.pin if any(fnmatchcase(name, pattern) for name in known)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCacheRule:
    """When the cache is larger than `most` (None: always), what was not used for `unused` seconds goes, least recently used first, until
    `keep` is left or the disk has `free`. `everything`: what images share, too. `types` as in `builder prune`.
    """

    keep: DiskSpace | None = None
    most: DiskSpace | None = None
    free: DiskSpace | None = None
    unused: int = 0
    types: tuple[str, ...] = ()
    everything: bool = False


def parse_gc_policy(text: str) -> GcPolicy:
    """`high=85%,low=400GiB,trash=72h,keep=14d,pin=pytorch/*,pin=base`. Raises ValueError with a sentence."""
    return _policy((name, value) for name, _, value in (part.partition("=") for part in text.split(",")))


def gc_policy_from_json(value: Mapping[str, Any]) -> GcPolicy:
    """`{"high": "85%", "trash": "72h", "pin": ["pytorch/*"]}`. Raises ValueError or AttributeError."""
    pairs = [(name, one) for name, given in value.items() for one in (given if isinstance(given, list) else [given])]
    return _policy(pairs)


def build_cache_rules_from_json(builder: Mapping[str, Any]) -> tuple[BuildCacheRule, ...]:
    """None unless it is enabled and says a size or a policy. Raises ValueError, TypeError, KeyError or AttributeError."""
    gc = builder.get("gc") or {}
    if not gc.get("enabled", bool(gc)):
        return ()
    if policy := gc.get("policy"):
        return tuple(_rule(one) for one in policy)
    keep = _space(gc, "defaultReservedSpace", "defaultKeepStorage")
    most, free = _space(gc, "defaultMaxUsedSpace"), _space(gc, "defaultMinFreeSpace")
    return (BuildCacheRule(keep=keep, most=most, free=free, everything=True),) if keep or most or free else ()


def parse_disk_space(text: str) -> DiskSpace:
    """`85%`, `400GiB` (by powers of 1024, as Docker reads `20GB` in `builder.gc`), bytes. Raises ValueError."""
    if text.endswith("%"):
        number = text.removesuffix("%")
        if not (number.isascii() and number.isdecimal()) or not 0 < int(number) <= 100:
            raise ValueError(f"invalid percentage: '{text}'")
        return DiskSpace(int(number))
    size = parse_size(text)
    if size <= 100:
        raise ValueError(f"invalid disk space: '{text}' is neither a percentage like 85% nor a size like 400GB")
    return DiskSpace(size)


def parse_age(text: str) -> int:
    """`72h`, `1.5h`, `7d`, `0`: whole seconds. Raises ValueError."""
    age = parse_duration(text, calendar=True)
    if age < 0:
        raise ValueError(f"invalid duration: '{text}' is negative")
    return age // _NANO


def format_age(seconds: int) -> str:
    return format_calendar_duration(seconds * _NANO)


def _policy(pairs: Iterable[tuple[str, Any]]) -> GcPolicy:
    known: dict[str, Any] = {}
    pins: list[str] = []
    for name, value in pairs:
        if name == "pin" and value:
            pins.append(str(value))
        elif name in _READERS:
            known[name] = _READERS[name](str(value))
        else:
            raise ValueError(f"unknown setting {name}: known are {', '.join(sorted([*_READERS, 'pin']))}")
    policy = GcPolicy(**known, pin=tuple(pins))
    if policy.low.is_percent == policy.high.is_percent and not policy.low.amount < policy.high.amount:
        raise ValueError(f"low ({policy.low}) must be below high ({policy.high})")
    return policy


def _rule(one: Mapping[str, Any]) -> BuildCacheRule:
    unused, types = 0, []
    for name, value in _filters(one.get("filter") or ()):
        if name in ("unused-for", "until"):
            unused = parse_duration(value) // _NANO
        elif name == "type":
            types.append(value)
        else:
            raise ValueError(f"unknown filter {name}")
    return BuildCacheRule(
        keep=_space(one, "reservedSpace", "keepStorage"),
        most=_space(one, "maxUsedSpace"),
        free=_space(one, "minFreeSpace"),
        unused=unused,
        types=tuple(types),
        everything=bool(one.get("all")),
    )


def _filters(given: Any) -> Iterator[tuple[str, str]]:
    """`["unused-for=2200h", "type==regular"]`, or `{"unused-for": {"2200h": true}}`."""
    if isinstance(given, Mapping):
        yield from ((name, value) for name, values in given.items() for value in values)
        return
    for text in given:
        name, _, value = text.partition("=")
        yield name, value.removeprefix("=")


def _space(where: Mapping[str, Any], *names: str) -> DiskSpace | None:
    """The first of `names` that is there and not 0. A size too small to be told from a percentage keeps as little."""
    given = next((str(where[name]) for name in names if where.get(name)), None)
    if given is None:
        return None
    return parse_disk_space(given) if given.endswith("%") else DiskSpace(max(parse_size(given), 101))


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "high": parse_disk_space,
    "low": parse_disk_space,
    "trash": parse_age,
    "keep": parse_age,
}
