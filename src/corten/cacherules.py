"""`builder.gc` of daemon.json: Docker's rules for how much build cache is kept."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from corten.gcmarks import Level

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", re.IGNORECASE)
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRule:
    """When the cache is larger than `most` (None: always), what was not used for `unused` seconds goes, least recently used first, until
    `keep` is left or the disk has `free`. `everything`: what images share, too. `types` as in `builder prune`.
    """

    keep: Level | None = None
    most: Level | None = None
    free: Level | None = None
    unused: int = 0
    types: tuple[str, ...] = ()
    everything: bool = False


def rules_from_json(builder: Mapping[str, Any]) -> tuple[CacheRule, ...]:
    """None unless it is enabled and says a size or a policy. Raises ValueError, TypeError, KeyError or AttributeError."""
    gc = builder.get("gc") or {}
    if not gc.get("enabled", bool(gc)):
        return ()
    if policy := gc.get("policy"):
        return tuple(_rule(one) for one in policy)
    keep = _space(gc, "defaultReservedSpace", "defaultKeepStorage")
    most, free = _space(gc, "defaultMaxUsedSpace"), _space(gc, "defaultMinFreeSpace")
    return (CacheRule(keep=keep, most=most, free=free, everything=True),) if keep or most or free else ()


def _rule(one: Mapping[str, Any]) -> CacheRule:
    unused, types = 0, []
    for name, value in _filters(one.get("filter") or ()):
        if name in ("unused-for", "until"):
            unused = _duration(value)
        elif name == "type":
            types.append(value)
        else:
            raise ValueError(f"unknown filter {name}")
    return CacheRule(
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


def _space(where: Mapping[str, Any], *names: str) -> Level | None:
    """The first of `names` that is there: bytes, `20GB` (by 1024, as in Docker) or `20%` of the disk."""
    given = next((where[name] for name in names if where.get(name)), None)
    if given is None:
        return None
    text = str(given)
    if text.endswith("%"):
        return Level(int(text[:-1]))
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no size")
    return Level(max(int(float(match[1]) * _UNITS[match[2].lower()]), 101))


def _duration(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{text} is no duration")
    return sum(int(number or 0) * _SECONDS[unit] for number, unit in zip(match.groups(), _SECONDS, strict=True))
