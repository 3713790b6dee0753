"""Errors as users meet them: a kind, a message, a reason id and a hint.

A kind is chosen where the fact is known. `corten.api.errors` maps kinds to HTTP statuses; `to_wire` and `from_wire` carry an
error across a process border (monitor, runtime child) so that the parent raises the same class. Message texts that clients
read ("No such image: ...", "is already in use by container") keep Docker's wording.
"""

from typing import ClassVar, NotRequired, TypedDict


class WireError(TypedDict):
    kind: str
    message: str
    reason: str
    hint: NotRequired[str | None]


class EngineError(Exception):
    """Base of everything a user may be told. `reason` is a stable id in kebab-case; `hint` says what to do."""

    kind: ClassVar[str] = "system"

    def __init__(self, message: str, *, reason: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.kind
        self.hint = hint

    def to_wire(self) -> WireError:
        return {"kind": self.kind, "message": self.message, "reason": self.reason, "hint": self.hint}


class NotFound(EngineError):
    kind = "not-found"


class Invalid(EngineError):
    """The request is wrong; sending it again will not help."""

    kind = "invalid"


class Conflict(EngineError):
    """The object's present state forbids this."""

    kind = "conflict"


class NotModified(EngineError):
    """The object already is in the wanted state."""

    kind = "not-modified"


class Unauthenticated(EngineError):
    kind = "unauthenticated"


class Denied(EngineError):
    kind = "denied"


class Unsupported(EngineError):
    """Not built, or not possible on this kernel. Always with a hint."""

    kind = "unsupported"


class Unavailable(EngineError):
    """Something that should be there is not (registry, launcher, disk space); trying again later may help."""

    kind = "unavailable"


KINDS: dict[str, type[EngineError]] = {
    c.kind: c for c in (EngineError, NotFound, Invalid, Conflict, NotModified, Unauthenticated, Denied, Unsupported, Unavailable)
}


def from_wire(error: WireError) -> EngineError:
    """The error that `to_wire` described; an unknown kind becomes a plain EngineError."""
    return KINDS.get(error["kind"], EngineError)(error["message"], reason=error["reason"], hint=error.get("hint"))
