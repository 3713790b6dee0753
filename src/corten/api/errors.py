"""Errors at the edge: one table from kinds to HTTP statuses, and the bodies that clients read."""

from typing import Final

import msgspec

from corten.api.wire import encode
from corten.errors import Conflict, Denied, EngineError, Invalid, NotFound, NotModified, Unauthenticated, Unavailable, Unsupported
from corten.http.response import Response

STATUSES: Final[dict[type[EngineError], int]] = {
    EngineError: 500,
    NotFound: 404,
    Invalid: 400,
    Conflict: 409,
    NotModified: 304,
    Unauthenticated: 401,
    Denied: 403,
    Unsupported: 501,
    Unavailable: 503,
}


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`message` is all that Docker's clients read. `reason` is a stable id and `hint` says what to do."""

    message: str
    reason: str = ""
    hint: str | None = None


def status_of(error: EngineError) -> int:
    """The status of the error's class or of its nearest ancestor in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def error_response(error: EngineError) -> Response:
    return failure(status_of(error), error.message, reason=error.reason, hint=error.hint)


def failure(status: int, message: str, *, reason: str = "", hint: str | None = None) -> Response:
    """An error answer. 304 has no body."""
    if status == 304:
        return Response(304)
    return Response(status, encode(ErrorBody(message, reason, hint)), "application/json")
