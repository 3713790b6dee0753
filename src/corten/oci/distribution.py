"""Bodies of the distribution API (registries): errors and tag lists, as values."""

from typing import Any

import msgspec


class RegistryError(msgspec.Struct, frozen=True):
    """`code` is one of the spec's upper-case words (DENIED, MANIFEST_UNKNOWN, TOOMANYREQUESTS, …) or a registry's own."""

    code: str = ""
    message: str = ""
    detail: Any = None

    def __str__(self) -> str:
        """As Docker shows it: the code in lower case with spaces, then the message."""
        words = self.code.lower().replace("_", " ")
        return f"{words}: {self.message}" if words and self.message else words or self.message


class _Errors(msgspec.Struct, frozen=True):
    errors: list[RegistryError] | None = None
    details: str = ""


class TagList(msgspec.Struct, frozen=True):
    name: str = ""
    tags: list[str] | None = None


_MAX_QUOTED = 300


def parse_errors(body: bytes) -> list[RegistryError]:
    """What a registry said in an error answer; a body that is no such JSON becomes one error holding its first characters."""
    try:
        found = msgspec.json.decode(body, type=_Errors)
    except msgspec.DecodeError:
        text = body[:_MAX_QUOTED].decode(errors="replace").strip()
        return [RegistryError(message=text)] if text else []
    if found.errors:
        return found.errors
    return [RegistryError(message=found.details)] if found.details else []
