"""The functions of templates: Go's own, and Docker's `json split join title lower upper pad truncate`."""

from collections.abc import Callable, Mapping
from typing import Any

from corten.cli.template.encode import go_json
from corten.cli.template.printf import sprint, sprintf, sprintln
from corten.cli.template.values import NO_VALUE, GoMap, Nil, NoValue, Struct, is_true, type_name

INTEGER, TEXT, TEXTS, ANY = "int", "string", "[]string", ""


class FunctionError(Exception):
    """A function that cannot do it; the text follows `error calling NAME: `."""


class Function:
    """`signature`: Go's parameter types, "" for any; `variadic`: the last one may come any number of times. `lazy`: and, or."""

    __slots__ = ("call", "lazy", "signature", "variadic")

    def __init__(self, call: Callable[..., Any], *signature: str, variadic: bool = False, lazy: bool = False) -> None:
        self.call = call
        self.signature = signature
        self.variadic = variadic
        self.lazy = lazy

    def count_problem(self, given: int) -> str:
        wanted = len(self.signature) - self.variadic
        if self.variadic and given < wanted:
            return f"want at least {wanted} got {given}"
        return "" if self.variadic or given == wanted else f"want {wanted} got {given}"

    def type_problem(self, index: int, value: Any, literal: str) -> str:
        """What is wrong with the type of an argument; `literal` is its source when it is a constant."""
        wanted = self.signature[min(index, len(self.signature) - 1)] if self.signature else ANY
        right = {
            ANY: True,
            TEXT: isinstance(value, str),
            INTEGER: isinstance(value, int) and not isinstance(value, bool),
            TEXTS: isinstance(value, Nil) or (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)),
        }[wanted]
        if right:
            return ""
        if literal and wanted in {TEXT, INTEGER}:
            return f"expected {'integer' if wanted == INTEGER else wanted}; found {literal}"
        if value is None or isinstance(value, NoValue):
            return f"invalid value; expected {wanted}"
        return f"wrong type for value; expected {wanted}; got {type_name(value)}"


def index(item: Any, *keys: Any) -> Any:
    if item is None or isinstance(item, NoValue):
        raise FunctionError("index of untyped nil")
    for key in keys:
        item = _element(item, key)
    return item


def _element(item: Any, key: Any) -> Any:
    if isinstance(item, Nil) and item.kind == "pointer":
        raise FunctionError("index of nil pointer")
    if isinstance(item, Struct) or not isinstance(item, dict | list | tuple | str | Nil):
        raise FunctionError(f"can't index item of type {type_name(item)}")
    if isinstance(item, dict):
        if not isinstance(key, str):
            raise FunctionError(f"value has type {type_name(key)}; should be string")
        return item.get(key, item.zero if isinstance(item, GoMap) else NO_VALUE)
    if isinstance(item, Nil) and item.kind == "map":
        return NO_VALUE
    position = _position(key)
    if not 0 <= position < len(item):
        raise FunctionError(f"index out of range: {position}")
    return item.encode()[position] if isinstance(item, str) else item[position]  # type: ignore[index]


def _position(key: Any) -> int:
    if not isinstance(key, int) or isinstance(key, bool):
        given = "untyped nil" if key is None else f"type {type_name(key)}"
        raise FunctionError(f"cannot index slice/array with {'nil' if key is None else given}")
    return key


def slice_of(item: Any, *bounds: Any) -> Any:
    if item is None or isinstance(item, NoValue):
        raise FunctionError("slice of untyped nil")
    if len(bounds) > 3:
        raise FunctionError(f"too many slice indexes: {len(bounds)}")
    if not isinstance(item, list | tuple | str):
        raise FunctionError(f"can't slice item of type {type_name(item)}")
    if isinstance(item, str) and len(bounds) == 3:
        raise FunctionError("cannot 3-index slice a string")
    raw: Any = item.encode() if isinstance(item, str) else item
    places = [_position(b) for b in bounds]
    for place in places:
        if not 0 <= place <= len(raw):
            raise FunctionError(f"index out of range: {place}")
    low, high = (places + [0, len(raw)][len(places) :])[:2]
    if low > high:
        raise FunctionError(f"invalid slice index: {low} > {high}")
    return raw[low:high].decode("utf-8", "replace") if isinstance(item, str) else raw[low:high]


def length(item: Any) -> int:
    if item is None or isinstance(item, NoValue):
        raise FunctionError("len of nil pointer" if item is None else "len of untyped nil")
    if isinstance(item, Nil) and item.kind == "pointer":
        raise FunctionError("len of nil pointer")
    if isinstance(item, Struct) or not isinstance(item, str | list | tuple | dict | Nil):
        raise FunctionError(f"len of type {type_name(item)}")
    return len(item.encode()) if isinstance(item, str) else len(item)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
    raise FunctionError("invalid type for comparison")


def equal(first: Any, *others: Any) -> bool:
    if not others:
        raise FunctionError("missing argument for comparison")
    for other in others:
        if first is None or other is None or isinstance(first, Nil | NoValue) or isinstance(other, Nil | NoValue):
            if not is_true(first) and not is_true(other) and type(first) is type(other):
                return True
            continue
        if _kind(first) != _kind(other):
            raise FunctionError("incompatible types for comparison")
        if first == other:
            return True
    return False


def unequal(first: Any, second: Any) -> bool:
    return not equal(first, second)


def less(first: Any, second: Any) -> bool:
    kinds = _kind(first), _kind(second)
    if kinds[0] != kinds[1]:
        raise FunctionError("incompatible types for comparison")
    if kinds[0] == "bool":
        raise FunctionError("invalid type for comparison")
    return bool(first < second)


def call(function: Any, *_: Any) -> Any:
    raise FunctionError(f"non-function of type {type_name(function)}")


def html_escaped(*values: Any) -> str:
    text = _joined(values)
    for plain, entity in (("&", "&amp;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("\0", "\ufffd")):
        text = text.replace(plain, entity)
    return text


def js_escaped(*values: Any) -> str:
    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(table.get(c) or (f"\\u{ord(c):04X}" if ord(c) < 32 else c) for c in _joined(values))


def url_escaped(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_joined(values), safe="")


def _joined(values: tuple[Any, ...]) -> str:
    return str(values[0]) if len(values) == 1 and isinstance(values[0], str) else sprint(*values)


def title(text: str) -> str:
    """The first letter of every word in upper case; letters, digits and underscores make words."""
    return "".join(c.upper() if not i or not (text[i - 1].isalnum() or text[i - 1] == "_") else c for i, c in enumerate(text))


def pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def truncate(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width]


def split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def join(texts: Any, separator: str) -> str:
    return separator.join(texts or ())


BUILTINS: Mapping[str, Function] = {
    "and": Function(lambda value: not is_true(value), ANY, ANY, variadic=True, lazy=True),
    "or": Function(is_true, ANY, ANY, variadic=True, lazy=True),
    "not": Function(lambda value: not is_true(value), ANY),
    "len": Function(length, ANY),
    "index": Function(index, ANY, ANY, variadic=True),
    "slice": Function(slice_of, ANY, ANY, variadic=True),
    "print": Function(sprint, ANY, variadic=True),
    "printf": Function(sprintf, TEXT, ANY, variadic=True),
    "println": Function(sprintln, ANY, variadic=True),
    "html": Function(html_escaped, ANY, variadic=True),
    "js": Function(js_escaped, ANY, variadic=True),
    "urlquery": Function(url_escaped, ANY, variadic=True),
    "call": Function(call, ANY, ANY, variadic=True),
    "eq": Function(equal, ANY, ANY, variadic=True),
    "ne": Function(unequal, ANY, ANY),
    "lt": Function(less, ANY, ANY),
    "le": Function(lambda a, b: less(a, b) or equal(a, b), ANY, ANY),
    "gt": Function(lambda a, b: not less(a, b) and not equal(a, b), ANY, ANY),
    "ge": Function(lambda a, b: not less(a, b), ANY, ANY),
}
DOCKER: Mapping[str, Function] = {
    **BUILTINS,
    "json": Function(go_json, ANY),
    "split": Function(split, TEXT, TEXT),
    "join": Function(join, TEXTS, TEXT),
    "title": Function(title, TEXT),
    "lower": Function(str.lower, TEXT),
    "upper": Function(str.upper, TEXT),
    "pad": Function(pad, TEXT, INTEGER, INTEGER),
    "truncate": Function(truncate, TEXT, INTEGER),
}
HEADER: Mapping[str, Function] = {
    **DOCKER,
    "json": Function(str, TEXT),
    "title": Function(str, TEXT),
    "lower": Function(str, TEXT),
    "upper": Function(str, TEXT),
    "truncate": Function(lambda text, _: text, TEXT, INTEGER),
    "split": Function(lambda text, _: [text], TEXT, TEXT),
    "join": Function(join, TEXTS, TEXT),
    "println": Function(lambda *values: "".join(map(str, values)), ANY, variadic=True),
}
"""For the heading of a table: a column's name passes through unchanged."""
