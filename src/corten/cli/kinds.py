"""Kinds of flag values: how the text after a flag becomes a value, in the words that Docker's users know from its errors.

A parser takes the text and returns the value or raises ValueError with the sentence that follows
`invalid argument "…" for "--flag" flag: `.
"""

from collections.abc import Callable

from corten.quoting import go_quoted
from corten.units import parse_bool


class Kind:
    """`name` stands in the help text; `implied` is the value of a flag that is given without one (`--rm`)."""

    __slots__ = ("implied", "name", "parse", "repeats", "zero")

    def __init__(self, name: str, parse: Callable[[str], object], *, zero: object = "", repeats: bool = False, implied: str = "") -> None:
        self.name = name
        self.parse = parse
        self.zero = zero
        self.repeats = repeats
        self.implied = implied


def integer(bits: int, *, signed: bool = True) -> Callable[[str], int]:
    """A parser of Go integers (decimal, 0x…, 0o…, 0b…, leading 0 for octal) that fit into `bits`."""
    function = "ParseInt" if signed else "ParseUint"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def parse(text: str) -> int:
        digits = text.lstrip("+-") if signed else text
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
        try:
            if text != text.strip() or (not signed and text[:1] in "+-"):
                raise ValueError
            value = int(text, 8 if octal else 0)
        except ValueError:
            raise ValueError(f"strconv.{function}: parsing {go_quoted(text)}: invalid syntax") from None
        if not low <= value <= high:
            raise ValueError(f"strconv.{function}: parsing {go_quoted(text)}: value out of range")
        return value

    return parse


def parse_filter(text: str) -> tuple[str, str]:
    """`name=value` of --filter. The name is lower-cased, both are trimmed."""
    name, equals, value = text.partition("=")
    if not equals and text:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def parse_pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def csv_fields(text: str) -> list[str]:
    """The fields of one CSV line (RFC 4180 quoting), as Docker splits --mount, --gpus and string lists."""
    if '"' not in text:
        return text.split(",")
    fields, rest = [], text
    while True:
        if rest.startswith('"'):
            field, rest = _quoted_field(rest)
        else:
            field, comma, rest = rest.partition(",")
            if '"' in field:
                raise ValueError(f'parse error on line 1, column {len(text) - len(comma + rest) + 1}: bare " in non-quoted-field')
            rest = comma + rest
        fields.append(field)
        if not rest:
            return fields
        rest = rest[1:]


def _quoted_field(text: str) -> tuple[str, str]:
    """The unquoted field at the start of `text`, and what follows: nothing or a comma and more."""
    out, i = [], 1
    while i < len(text):
        end = text.find('"', i)
        if end < 0:
            break
        out.append(text[i:end])
        if text[end + 1 : end + 2] != '"':
            if text[end + 1 : end + 2] not in {"", ","}:
                break
            return "".join(out), text[end + 1 :]
        out.append('"')
        i = end + 2
    raise ValueError('parse error on line 1, column 1: extraneous or missing " in quoted-field')


BOOL = Kind("", parse_bool, zero=False, implied="true")
STRING = Kind("string", str)
INT = Kind("int", integer(64), zero=0)
UINT = Kind("uint", integer(64, signed=False), zero=0)
UINT16 = Kind("uint16", integer(16, signed=False), zero=0)
LIST = Kind("list", str, repeats=True)
STRINGS = Kind("strings", csv_fields, repeats=True)
MAP = Kind("map", parse_pair, repeats=True)
FILTER = Kind("filter", parse_filter, repeats=True)


def checked(check: Callable[[str], object], name: str = "list") -> Kind:
    """A repeatable flag whose every value passes through `check`."""
    return Kind(name, check, repeats=True)
