"""The values a template meets, as Go sees them.

JSON gives str, bool, int, float, list, dict. Beside them stand:
`NO_VALUE`, a missing map key; `Nil`, a typed nil that prints as `[]`, `map[]` or `<nil>`; `GoMap`, a dict whose keys are data (a missing
one is no error); `Struct`, a dict whose keys are field names (a missing one is); `Record`, the computed columns of a list.
"""

from collections.abc import Callable, Mapping
from math import isfinite, isnan
from typing import Any


class NoValue:
    """Go's invalid value; there is one."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


NO_VALUE = NoValue()


class GoTime(str):
    """A moment as RFC 3339 text; prints as Go prints a time."""

    __slots__ = ()

    def shown(self) -> str:
        day, _, clock = self.partition("T")
        at = next((i for i, c in enumerate(clock) if c in "Z+-"), len(clock))
        zone = clock[at:].replace(":", "")
        return f"{day} {clock[:at]} +0000 UTC" if zone in {"", "Z"} else f"{day} {clock[:at]} {zone} {zone}"


class JsonNumber(str):
    """A number kept as the text it has in the JSON."""

    __slots__ = ()


class Nil:
    """A nil pointer, slice or map. Falsy, empty, `null` in JSON."""

    __slots__ = ("kind", "shown")

    def __init__(self, kind: str, shown: str) -> None:
        self.kind = kind
        self.shown = shown

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


NIL_POINTER = Nil("pointer", "<nil>")
NIL_SLICE = Nil("slice", "[]")
NIL_MAP = Nil("map", "map[]")


class GoMap(dict[str, Any]):
    """A map from data; `zero` is what `index` gives for a key that is not there."""

    __slots__ = ("zero",)

    def __init__(self, content: Mapping[str, Any], zero: Any) -> None:
        super().__init__(content)
        self.zero = zero


class Struct(dict[str, Any]):
    """A decoded object of a known type.

    `absent` holds the fields that the engine leaves out when they are empty, `aliases` maps Go's names of fields to JSON's.
    """

    __slots__ = ("absent", "aliases", "type_name")

    def __init__(
        self, content: Mapping[str, Any], type_name: str = "", *, absent: Mapping[str, Any] = {}, aliases: Mapping[str, str] = {}
    ) -> None:
        super().__init__(content)
        self.type_name = type_name
        self.absent = absent
        self.aliases = aliases


class Record:
    """A row of a list: fields are computed from `data` when asked for. One of two parameters takes an argument (`.Label "x"`)."""

    __slots__ = ("data", "getters", "type_name")

    def __init__(self, type_name: str, getters: Mapping[str, Callable[..., Any]], data: Any) -> None:
        self.type_name = type_name
        self.getters = getters
        self.data = data


def type_name(value: Any) -> str:
    """Go's name for the type of a value."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Record():
            return value.type_name
        case Struct() if value.type_name:
            return value.type_name
        case GoMap() if value.zero == "":
            return "map[string]string"
        case dict():
            return "map[string]interface {}"
        case list() | tuple():
            return "[]string" if value and all(isinstance(v, str) for v in value) else "[]interface {}"
    return "interface {}"


def is_true(value: Any) -> bool:
    """Whether `if` takes the branch: not zero, not empty, not nil. A struct always is true."""
    return True if isinstance(value, Struct | Record) else bool(value)


def format_float(value: float) -> str:
    """The shortest form; an exponent from 1e21 on and below 1e-4 (%v)."""
    if not isfinite(value):
        return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, _, exponent = repr(value).partition("e")
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        text = f"{value:.0f}" if exponent and abs(value) >= 1 else f"{value:.20f}".rstrip("0") if exponent else digits
        return text.rstrip("0").rstrip(".") if "." in text else text
    if not exponent:
        digits, _, exponent = f"{value:.16e}".partition("e")
        digits = f"{float(repr(value)) / 10 ** int(exponent):.15g}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{int(exponent):+03d}"


CONSTANTS: dict[Any, str] = {None: "<nil>", NO_VALUE: "<no value>", True: "true", False: "false"}


def format_value(value: Any) -> str:
    """Go's %v."""
    match value:
        case None | NoValue() | bool():
            return CONSTANTS[value]
        case float():
            return format_float(value)
        case Nil():
            return value.shown
        case GoTime():
            return value.shown()
        case Struct():
            return "{" + " ".join(map(format_value, (*value.values(), *(v for k, v in value.absent.items() if k not in value)))) + "}"
        case dict():
            return "map[" + " ".join(f"{k}:{format_value(value[k])}" for k in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(map(format_value, value)) + "]"
        case Record():
            return "{" + " ".join(format_value(value.getters[n](value.data)) for n in sorted(value.getters)) + "}"
    return str(value)
