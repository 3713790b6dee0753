"""Protocol buffers (proto3's wire format): messages are dataclasses whose fields carry their numbers. No I/O.

    @dataclass(slots=True)
    class Exporter:
        type: str = text(1)
        attrs: dict[str, str] = text_map(2)

Fields that are not declared are skipped, defaults are not sent. What lies outside proto3 as BuildKit uses it (floats, groups, zigzag and
fixed integers) can be skipped, not declared.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import field, fields
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar, cast

T = TypeVar("T")

DEEPEST: Final = 32
"""Messages inside one another."""
_VARINT, _I64, _BYTES, _I32 = 0, 1, 2, 5


class BadMessage(ValueError):
    """Bytes that are no message of the kind that was expected."""


class _Spec(NamedTuple):
    """`form`: how a single value is written. `many` is "" for one value, else "list" or "map"; `inner` gives the class of a message."""

    number: int
    form: str
    many: str = ""
    inner: Callable[[], type[Any]] | None = None


def integer(number: int) -> Any:
    """int32, int64, uint32 or an enumeration."""
    return field(default=0, metadata={"wire": _Spec(number, "int")})


def boolean(number: int) -> Any:
    return field(default=False, metadata={"wire": _Spec(number, "bool")})


def text(number: int) -> Any:
    return field(default="", metadata={"wire": _Spec(number, "text")})


def blob(number: int) -> Any:
    return field(default=b"", metadata={"wire": _Spec(number, "blob")})


def message(number: int, inner: Callable[[], type[Any]]) -> Any:
    """None when there is none."""
    return field(default=None, metadata={"wire": _Spec(number, "message", "", inner)})


def texts(number: int) -> Any:
    return field(default_factory=list, metadata={"wire": _Spec(number, "text", "list")})


def blobs(number: int) -> Any:
    return field(default_factory=list, metadata={"wire": _Spec(number, "blob", "list")})


def messages(number: int, inner: Callable[[], type[Any]]) -> Any:
    return field(default_factory=list, metadata={"wire": _Spec(number, "message", "list", inner)})


def text_map(number: int) -> Any:
    return field(default_factory=dict, metadata={"wire": _Spec(number, "text", "map")})


def blob_map(number: int) -> Any:
    return field(default_factory=dict, metadata={"wire": _Spec(number, "blob", "map")})


def message_map(number: int, inner: Callable[[], type[Any]]) -> Any:
    return field(default_factory=dict, metadata={"wire": _Spec(number, "message", "map", inner)})


def encode(value: Any) -> bytes:
    """The bytes of a message."""
    out = bytearray()
    for name, spec in _specs(cast("Hashable", type(value))):
        _write_field(out, spec, getattr(value, name))
    return bytes(out)


def decode(kind: type[T], data: bytes) -> T:
    """A message of that kind. Raises BadMessage."""
    return _decode(kind, data, 0)


@cache
def _specs(kind: Hashable) -> tuple[tuple[str, _Spec], ...]:
    return tuple((f.name, f.metadata["wire"]) for f in fields(cast("type[Any]", kind)))


@cache
def _by_number(kind: Hashable) -> dict[int, tuple[str, _Spec]]:
    return {spec.number: (name, spec) for name, spec in _specs(kind)}


def _write_field(out: bytearray, spec: _Spec, value: Any) -> None:
    if spec.many == "list":
        for one in value:
            _write_value(out, spec.number, spec.form, one)
    elif spec.many == "map":
        for key, one in value.items():
            entry = bytearray()
            _write_value(entry, 1, "text", key)
            _write_value(entry, 2, spec.form, one)
            _write_value(out, spec.number, "blob", bytes(entry))
    elif value or (spec.form == "message" and value is not None):
        _write_value(out, spec.number, spec.form, value)


def _write_value(out: bytearray, number: int, form: str, value: Any) -> None:
    if form in ("int", "bool"):
        out += _varint(number << 3 | _VARINT)
        out += _varint(int(value) & 0xFFFFFFFFFFFFFFFF)
        return
    data = value.encode() if form == "text" else encode(value) if form == "message" else value
    out += _varint(number << 3 | _BYTES)
    out += _varint(len(data))
    out += data


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _decode(kind: type[T], data: bytes, depth: int) -> T:
    if depth > DEEPEST:
        raise BadMessage(f"messages inside one another deeper than {DEEPEST}")
    value = kind()
    known = _by_number(cast("Hashable", kind))
    for number, wire, raw in _fields(data):
        if number in known:
            name, spec = known[number]
            _take(value, name, spec, _read(spec, wire, raw, depth))
    return value


def _take(value: Any, name: str, spec: _Spec, found: Any) -> None:
    if spec.many == "list":
        getattr(value, name).append(found)
    elif spec.many == "map":
        getattr(value, name)[found[0]] = found[1]
    else:
        setattr(value, name, found)


def _read(spec: _Spec, wire: int, raw: int | bytes, depth: int) -> Any:
    if spec.many == "map":
        return _entry(spec, raw, depth)
    if spec.form in ("int", "bool"):
        if not isinstance(raw, int) or wire != _VARINT:
            raise BadMessage(f"field {spec.number} is no integer")
        return bool(raw) if spec.form == "bool" else raw - (1 << 64) if raw >> 63 else raw
    if not isinstance(raw, bytes) or wire != _BYTES:
        raise BadMessage(f"field {spec.number} holds no bytes")
    return _read_bytes(spec, raw, depth)


def _read_bytes(spec: _Spec, raw: bytes, depth: int) -> Any:
    if spec.form == "blob":
        return raw
    if spec.form == "text":
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise BadMessage(f"field {spec.number} is no UTF-8 text") from error
    assert spec.inner is not None, "a message's field names its class"
    return _decode(spec.inner(), raw, depth + 1)


def _entry(spec: _Spec, raw: int | bytes, depth: int) -> tuple[str, Any]:
    """One entry of a map; a missing key or value is the default."""
    if not isinstance(raw, bytes):
        raise BadMessage(f"field {spec.number} is no map")
    key, value = "", _read_bytes(spec, b"", depth)
    for number, wire, found in _fields(raw):
        if number == 1:
            key = _read(_Spec(1, "text"), wire, found, depth)
        elif number == 2:
            value = _read(_Spec(2, spec.form, "", spec.inner), wire, found, depth)
    return key, value


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(number, wire type, value) of every field. Raises BadMessage."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        elif wire in (_I64, _I32):
            size = 8 if wire == _I64 else 4
        else:
            raise BadMessage(f"wire type {wire}")
        if number == 0 or size > end - at:
            raise BadMessage("a field goes beyond its message")
        yield number, wire, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise BadMessage("the message ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise BadMessage("a number of more than ten bytes")
