"""Sizes, durations and booleans as text, read and printed as Docker's Go libraries do it. Every reader raises ValueError in their words.

Sources: docker/go-units (size.go, duration.go), Go's time.ParseDuration and Duration.String, strconv.ParseBool.
"""

from corten.quoting import go_quoted

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_PREFIXES = "kmgtp"
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_DIGITS = "0123456789"
_MICRO, _MILLI, _SECOND, _MINUTE, _HOUR, _DAY = 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9
_UNITS = {"ns": 1, "us": _MICRO, "µs": _MICRO, "μs": _MICRO, "ms": _MILLI, "s": _SECOND, "m": _MINUTE, "h": _HOUR}
_CALENDAR = {"d": _DAY, "w": 7 * _DAY}
_LONGEST = 1 << 63
_ROUNDED = ((14 * 24, 24, "days"), (60 * 24, 7 * 24, "weeks"), (2 * 365 * 24, 30 * 24, "months"))


def parse_bool(text: str) -> bool:
    """strconv.ParseBool."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {go_quoted(text)}: invalid syntax")


def parse_size(text: str) -> int:
    """`512`, `64k`, `1.5GiB`, `20 GB`: bytes by powers of 1024, with or without an "i" (units.RAMInBytes)."""
    return _size(text, 1024)


def parse_decimal_size(text: str) -> int:
    """As `parse_size` by powers of 1000, with or without an "i" (units.FromHumanSize): Docker reads sizes of logs so."""
    return _size(text, 1000)


def human_size(size: float, digits: int = 4) -> str:
    """Bytes by powers of 1000: `1.98MB` with three digits, `1.982MB` with four (units.HumanSizeWithPrecision)."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes by powers of 1024: `720KiB` (units.BytesSize)."""
    return _scaled(size, 1024, _BINARY, 4)


def parse_duration(text: str, *, calendar: bool = False) -> int:
    """`1h2m3.5s`, `-100ms`: nanoseconds. Only 0 needs no unit. `calendar`: `d` and `w` are units, too, which Go does not know."""
    units = _UNITS | _CALENDAR if calendar else _UNITS
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    wrong = ValueError(f"time: invalid duration {go_quoted(text)}")
    if not rest:
        raise wrong
    total = 0
    while rest:
        number, fraction, unit, rest = _leading_part(rest)
        if not number and not fraction:
            raise wrong
        if unit not in units:
            what = f"unknown unit {go_quoted(unit)}" if unit else "missing unit"
            raise ValueError(f"time: {what} in duration {go_quoted(text)}")
        total += int(number or 0) * units[unit] + _fraction(fraction, units[unit])
        if total > _LONGEST:
            raise wrong
    if text.startswith("-"):
        return -total
    if total == _LONGEST:
        raise wrong
    return total


def format_duration(ns: int) -> str:
    """`1h30m0s`, `1.5s`, `300ms`, `0s` (Duration.String)."""
    if ns < 0:
        return f"-{format_duration(-ns)}"
    if ns < _SECOND:
        unit, size = next(((u, s) for u, s in (("ms", _MILLI), ("µs", _MICRO), ("ns", 1)) if ns >= s), ("s", 1))
        return f"{_decimal(ns, size)}{unit}"
    minutes, rest = divmod(ns, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, _SECOND)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def format_calendar_duration(ns: int) -> str:
    """In the largest unit that divides it, days at most: `14d`, `90m`."""
    unit, size = next(((u, s) for u, s in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)) if ns and ns % s == 0), ("", 1))
    return f"{ns // size}{unit}" if unit else format_duration(ns)


def human_duration(seconds: float) -> str:
    """`Less than a second`, `3 minutes`, `About an hour`, `2 weeks` (units.HumanDuration)."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < 3600:
        return "About a minute" if whole < 120 else f"{whole // 60} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    unit, name = next(((unit, name) for limit, unit, name in _ROUNDED if hours < limit), (0, ""))
    return f"{hours // unit} {name}" if unit else f"{whole // 3600 // 24 // 365} years"


def _size(text: str, step: int) -> int:
    end = max((i for i, c in enumerate(text) if c in f"{_DIGITS}. "), default=-1)
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = (text[:end] if text[end] == " " else text[: end + 1]), text[end + 1 :].lower()
    size = _float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    if suffix in ("", "b"):
        return int(size)
    if suffix[0] not in _PREFIXES or suffix[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(size * step ** (_PREFIXES.index(suffix[0]) + 1))


def _float(text: str) -> float:
    """A finite number; what Python allows beyond Go (blanks, underscores, other scripts' digits) is refused."""
    try:
        if any(c not in f"{_DIGITS}+-.eE" for c in text):
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(f"strconv.ParseFloat: parsing {go_quoted(text)}: invalid syntax") from None


def _scaled(size: float, step: int, units: tuple[str, ...], digits: int) -> str:
    at = 0
    value = float(size)
    while value >= step and at < len(units) - 1:
        value /= step
        at += 1
    return f"{value:.{digits}g}{units[at]}"


def _leading_part(text: str) -> tuple[str, str, str, str]:
    """The digits before and behind the point, the unit, and what follows it."""
    whole, rest = _leading_digits(text)
    fraction = ""
    if rest.startswith("."):
        fraction, rest = _leading_digits(rest[1:])
    end = next((i for i, c in enumerate(rest) if c == "." or c in _DIGITS), len(rest))
    return whole, fraction, rest[:end], rest[end:]


def _leading_digits(text: str) -> tuple[str, str]:
    rest = text.lstrip(_DIGITS)
    return text[: len(text) - len(rest)], rest


def _fraction(digits: str, unit: int) -> int:
    """Go keeps as many digits as an int64 holds and multiplies floats: 0.3333333333333333333h are 20 minutes to the nanosecond."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > (_LONGEST - 1) // 10 or value * 10 + int(digit) >= _LONGEST:
            break
        value = value * 10 + int(digit)
        scale *= 10
    return int(float(value) * (unit / scale))


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}}".rstrip("0").rstrip(".") if part else f"{whole}"
