"""The parts of a request that are values: header fields, the query, and the path as a router wants it."""

from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath
from urllib.parse import parse_qsl, quote, unquote


class Headers:
    """Header fields in order of arrival. Look-up ignores case; repeated fields are kept."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """`fields` are lower-case names and values, as h11 hands them out."""
        self._fields = tuple(fields)

    def get(self, name: str, default: str = "") -> str:
        """The first field of that name."""
        wanted = name.lower().encode("latin-1")
        for key, value in self._fields:
            if key == wanted:
                return value.decode("latin-1")
        return default

    def get_all(self, name: str) -> list[str]:
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for key, value in self._fields if key == wanted]

    def tokens(self, name: str) -> list[str]:
        """The comma-separated, lower-cased members of all fields of that name (RFC 9110 5.6.1)."""
        members = (member.strip().lower() for value in self.get_all(name) for member in value.split(","))
        return [member for member in members if member]

    def __contains__(self, name: str) -> bool:
        wanted = name.lower().encode("latin-1")
        return any(key == wanted for key, _ in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((key.decode("latin-1"), value.decode("latin-1")) for key, value in self._fields)


def parse_query(text: str) -> Mapping[str, list[str]]:
    """`a=1&a=2&b=` as lists by name, in order."""
    fields: dict[str, list[str]] = {}
    if text:
        for name, value in parse_qsl(text, keep_blank_values=True):
            fields.setdefault(name, []).append(value)
    return fields


def split_target(target: str) -> tuple[str, str]:
    """The decoded path and the raw query of a request target, in origin form or absolute form (RFC 9112 3.2)."""
    if "://" in target.partition("?")[0]:
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return (unquote(path) if "%" in path else path), query


def find_redirect(path: str, query: str) -> str | None:
    """Where Docker's router sends a client whose path has empty, `.` or `..` members; None when the path is clean."""
    if "//" not in path and "/." not in path:
        return None
    clean = normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    if clean == path:
        return None
    return quote(clean, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")
