"""Go's Sprint, Sprintln and Sprintf for the values that templates meet."""

from typing import Any

from corten.cli.template.values import Nil, NoValue, format_float, format_value, type_name
from corten.quoting import go_quoted

FLAGS = "+-# 0"


def sprint(*values: Any) -> str:
    """Values one after another, with a space between two of which neither is a string."""
    out = []
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            out.append(" ")
        out.append(format_value(value))
    return "".join(out)


def sprintln(*values: Any) -> str:
    return " ".join(map(format_value, values)) + "\n"


class _Directive:
    """One `%…` of a format: flags, width and precision (None when absent), the verb."""

    __slots__ = ("flags", "precision", "verb", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.width: int | None = None
        self.precision: int | None = None
        self.verb = ""


class _Formatter:
    def __init__(self, text: str, values: tuple[Any, ...]) -> None:
        self.text = text
        self.values = values
        self.at = 0
        self.used = 0
        self.reordered = False

    def run(self) -> str:
        out = []
        while True:
            percent = self.text.find("%", self.at)
            out.append(self.text[self.at : len(self.text) if percent < 0 else percent])
            if percent < 0:
                break
            self.at = percent + 1
            out.append(self._directive())
        if not self.reordered and self.used < len(self.values):
            extra = ", ".join(f"{_name(v)}={format_value(v)}" if v is not None else "<nil>" for v in self.values[self.used :])
            out.append(f"%!(EXTRA {extra})")
        return "".join(out)

    def _directive(self) -> str:
        d = _Directive()
        while self._peek() and self._peek() in FLAGS:
            d.flags += self._take()
        self._explicit_index()
        d.width = self._number()
        if self._peek() == ".":
            self.at += 1
            self._explicit_index()
            d.precision = self._number() or 0
        if d.width is not None and d.width < 0:
            d.flags, d.width = d.flags + "-", -d.width
        self._explicit_index()
        d.verb = self._take()
        if not d.verb:
            return "%!(NOVERB)"
        if d.verb == "%":
            return "%"
        if self.used >= len(self.values):
            return f"%!{d.verb}(BADINDEX)" if self.reordered else f"%!{d.verb}(MISSING)"
        value = self.values[self.used]
        self.used += 1
        return formatted(value, d)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        c = self._peek()
        self.at += len(c)
        return c

    def _explicit_index(self) -> None:
        close = self.text.find("]", self.at)
        if self._peek() == "[" and self.text[self.at + 1 : close].isdecimal():
            self.used = int(self.text[self.at + 1 : close]) - 1
            self.at, self.reordered = close + 1, True

    def _number(self) -> int | None:
        if self._peek() == "*":
            self.at += 1
            self.used += 1
            value = self.values[self.used - 1] if self.used <= len(self.values) else None
            return value if isinstance(value, int) else None
        start = self.at
        while self._peek().isdecimal():
            self.at += 1
        return int(self.text[start : self.at]) if self.at > start else None


def sprintf(text: str, *values: Any) -> str:
    return _Formatter(text, values).run()


def _name(value: Any) -> str:
    return type_name(value)


def formatted(value: Any, d: _Directive) -> str:
    """One value by one directive, padded."""
    if d.verb == "T":
        return _padded("<nil>" if value is None else _name(value), d)
    text = _by_verb(value, d)
    if text is None:
        text = f"%!{d.verb}(<nil>)" if value is None else f"%!{d.verb}({_name(value)}={format_value(value)})"
    return _padded(text, d, numeric=isinstance(value, int | float) and d.verb != "v")


def _by_verb(value: Any, d: _Directive) -> str | None:
    match value:
        case None | NoValue() | Nil() if d.verb in "vs":
            return format_value(value) if not (value is None and d.verb == "s") else "%!s(<nil>)"
        case bool():
            return format_value(value) if d.verb in "vt" else None
        case int():
            return _integer(value, d)
        case float():
            return _float(value, d)
        case str():
            return _string(value, d)
        case list() | tuple():
            parts = [_by_verb(v, d) for v in value]
            return None if None in parts else "[" + " ".join(p for p in parts if p is not None) + "]"
    return format_value(value) if d.verb in "vs" else None


def _string(value: str, d: _Directive) -> str | None:
    match d.verb:
        case "v" | "s":
            return value if d.precision is None else value[: d.precision]
        case "q":
            return f"`{value}`" if "#" in d.flags and "`" not in value else go_quoted(value)
        case "x" | "X":
            digits = value.encode().hex()
            return digits.upper() if d.verb == "X" else digits
    return None


def _integer(value: int, d: _Directive) -> str | None:
    sign = "-" if value < 0 else "+" if "+" in d.flags else " " if " " in d.flags else ""
    digits = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(d.verb)
    if digits is not None:
        body = f"{abs(value):{digits}}"
        if d.precision is not None:
            body = body.rjust(d.precision, "0")
        prefix = {"x": "0x", "X": "0X", "b": "0b", "o": "0"}.get(d.verb, "") if "#" in d.flags else "0o" if d.verb == "O" else ""
        return sign + prefix + body
    match d.verb:
        case "c":
            return chr(value)
        case "q":
            return "'" + go_quoted(chr(value))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        case "U":
            return f"U+{value:04X}"
    return None


def _float(value: float, d: _Directive) -> str | None:
    plus = "+" if "+" in d.flags and value >= 0 else ""
    if d.verb == "v" or (d.verb in "gG" and d.precision is None):
        return plus + format_float(value)
    if d.verb in "fFeEgG":
        return plus + f"{value:.{6 if d.precision is None else d.precision}{d.verb}}"
    return None


def _padded(text: str, d: _Directive, *, numeric: bool = False) -> str:
    width = d.width or 0
    if "-" in d.flags:
        return text.ljust(width)
    if "0" in d.flags and numeric:
        sign = text[:1] if text[:1] in "+-" else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)
