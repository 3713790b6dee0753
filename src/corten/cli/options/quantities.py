"""Sizes, durations and processor shares as people write them."""

from corten.cli.kinds import Kind, go_quoted

BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
NANOSECONDS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
NANO = 10**9


def parse_bytes(text: str) -> int:
    """`512`, `64k`, `1.5GiB`: bytes, by powers of 1024."""
    end = max((i for i, c in enumerate(text) if c in "0123456789. "), default=-1)
    if end < 0 or text[0] == "-":
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = (text[:end] if text[end] == " " else text[: end + 1]), text[end + 1 :]
    size = _float(number)
    unit = suffix.lower()
    if unit in {"", "b"}:
        return int(size)
    if unit[0] not in BINARY or unit[1:] not in {"", "b", "ib"}:
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(size * BINARY[unit[0]])


def _float(text: str) -> float:
    try:
        if text != text.strip():
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(f"strconv.ParseFloat: parsing {go_quoted(text)}: invalid syntax") from None


def parse_swap(text: str) -> int:
    """As `parse_bytes`; -1 is "no limit"."""
    return -1 if text == "-1" else parse_bytes(text)


def parse_duration(text: str) -> int:
    """`1h2m3.5s`, `100ms`: nanoseconds. A sign may stand before it; only 0 needs no unit."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0
    total = 0
    if not rest:
        raise ValueError(f"time: invalid duration {go_quoted(text)}")
    while rest:
        number, rest = _span(rest, "0123456789.")
        if not number or number == "." or number.count(".") > 1:
            raise ValueError(f"time: invalid duration {go_quoted(text)}")
        unit, rest = _span_not(rest, "0123456789.")
        if not unit:
            raise ValueError(f"time: missing unit in duration {go_quoted(text)}")
        if unit not in NANOSECONDS:
            raise ValueError(f"time: unknown unit {go_quoted(unit)} in duration {go_quoted(text)}")
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * NANOSECONDS[unit] + int(fraction or 0) * NANOSECONDS[unit] // 10 ** len(fraction)
    return -total if text.startswith("-") else total


def _span(text: str, wanted: str) -> tuple[str, str]:
    rest = text.lstrip(wanted)
    return text[: len(text) - len(rest)], rest


def _span_not(text: str, unwanted: str) -> tuple[str, str]:
    end = next((i for i, c in enumerate(text) if c in unwanted), len(text))
    return text[:end], text[end:]


def parse_cpus(text: str) -> int:
    """`1.5`, `1e2`, `3/2`: billionths of a processor."""
    top, slash, bottom = text.partition("/")
    try:
        numerator, scale = _decimal(top)
        denominator = int(bottom) if slash else 1
        if denominator <= 0:
            raise ValueError
    except ValueError:
        raise ValueError(f"failed to parse {text} as a rational number") from None
    nano, rest = divmod(numerator * NANO, denominator * scale)
    if rest:
        raise ValueError("value is too precise")
    return nano


def _decimal(text: str) -> tuple[int, int]:
    """A decimal with exponent as an exact fraction: numerator and denominator."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole.lstrip("+-") + fraction
    if not digits.isdecimal() or not digits.isascii():
        raise ValueError
    value = int(digits) * (-1 if whole.startswith("-") else 1)
    power = int(exponent or 0) - len(fraction)
    return (value * 10**power, 1) if power >= 0 else (value, 10**-power)


BYTES = Kind("bytes", parse_bytes, zero=0)
SWAP = Kind("bytes", parse_swap, zero=0)
DURATION = Kind("duration", parse_duration, zero=0)
CPUS = Kind("decimal", parse_cpus, zero=0)
