"""JSON from strangers into frozen structs, and values into JSON, the way Go's encoding/json does it for Docker.

Go matches field names in any case and ignores unknown ones; msgspec matches exactly. Wire structs therefore forbid unknown
fields, and a body that has some is read a second time with its keys folded to the struct's. `null` means "not said" for every
field, so every field is optional. Errors name the path of the field: `HostConfig.Memory: expected int, got str`.
"""

from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgspec

from corten.api.wrong_field import describe
from corten.errors import Invalid
from corten.http.response import Fields, Response

T = TypeVar("T")

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Go's int64: a bigger number in a body is an error."""

_ACRONYMS: Final = {"id": "ID", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "uts": "UTS", "url": "URL"}


def wire_name(name: str) -> str:
    """`memory_swap` → `MemorySwap`, `container_id_file` → `ContainerIDFile`. Names that Docker spells otherwise are given per field."""
    return "".join(_ACRONYMS.get(word) or word.capitalize() for word in name.split("_"))


class WireStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename=wire_name):
    """Base of what clients send. Every field has a default. A subclass repeats `frozen=True, kw_only=True`: they are not inherited."""


class AnswerStruct(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Base of what is answered; a subclass repeats `frozen=True, kw_only=True`. Empty fields are sent, unless it says `omit_defaults`."""


def decode(kind: type[T], data: bytes) -> T:
    """Raises Invalid with Docker's opening words ("invalid JSON: ...") and the path of the wrong field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        return _decode_folded(kind, data)
    except msgspec.DecodeError as error:
        raise _malformed(data, error) from None


def encode(value: Any) -> bytes:
    """Compact JSON with a line end, as Go's encoder writes it."""
    return msgspec.json.encode(value) + b"\n"


def json_response(value: Any, status: int = 200, headers: Fields = ()) -> Response:
    return Response(status, encode(value), "application/json", headers)


def _decode_folded(kind: type[T], data: bytes) -> T:
    try:
        value = fold_keys(msgspec.json.decode(data), kind)
    except msgspec.DecodeError as error:
        raise _malformed(data, error) from None
    except RecursionError:
        raise Invalid("invalid JSON: exceeded max depth", reason="bad-json") from None
    try:
        return msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"invalid JSON: {describe(value, kind, error)}", reason="wrong-type") from None


def _malformed(data: bytes, error: msgspec.DecodeError) -> Invalid:
    text = str(error)
    if not data.strip():
        return Invalid("invalid JSON: got EOF while reading request body", reason="bad-json")
    if "truncated" in text:
        return Invalid("invalid JSON: unexpected EOF", reason="bad-json")
    if "trailing characters" in text:
        return Invalid("unexpected content after JSON", reason="bad-json")
    return Invalid(f"invalid JSON: {text}", reason="bad-json")


def fold_keys(value: Any, kind: Any) -> Any:
    """`value` with the keys of every object that `kind` reads as a struct spelled as the struct spells them; unknown ones dropped."""
    return _fold(value, _shape(kind))


@cache
def _shape(kind: Any) -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(kind)


def _fold(value: Any, shape: msgspec.inspect.Type) -> Any:
    for part in shape.types if isinstance(shape, msgspec.inspect.UnionType) else (shape,):
        if isinstance(value, dict) and isinstance(part, msgspec.inspect.StructType):
            return _fold_struct(value, part)
        if isinstance(value, dict) and isinstance(part, msgspec.inspect.DictType):
            return {key: _fold(member, part.value_type) for key, member in value.items()}
        if isinstance(value, list) and isinstance(part, msgspec.inspect.CollectionType):
            return [_fold(member, part.item_type) for member in value]
    return value


def _fold_struct(value: dict[str, Any], shape: msgspec.inspect.StructType) -> dict[str, Any]:
    """As Go: a key in another case counts too, and the last one wins."""
    fields = {field.encode_name.lower(): field for field in shape.fields}
    folded = {}
    for key, member in value.items():
        field = fields.get(key.lower())
        if field is not None:
            folded[field.encode_name] = _fold(member, field.type)
    return folded
