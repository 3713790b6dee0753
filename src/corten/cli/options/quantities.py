"""Sizes, durations and processor shares as people write them."""

from corten.cli.kinds import Kind
from corten.units import parse_duration, parse_size

NANO = 10**9


def parse_swap(text: str) -> int:
    """As `parse_size`; -1 is "no limit"."""
    return -1 if text == "-1" else parse_size(text)


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


BYTES = Kind("bytes", parse_size, zero=0)
SWAP = Kind("bytes", parse_swap, zero=0)
DURATION = Kind("duration", parse_duration, zero=0)
CPUS = Kind("decimal", parse_cpus, zero=0)
