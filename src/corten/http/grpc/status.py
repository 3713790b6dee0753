"""How a gRPC call ended, as its trailers say it."""

import base64
from collections.abc import Mapping
from enum import IntEnum
from typing import Final
from urllib.parse import quote, unquote

Fields = list[tuple[str, str]]
LONGEST_MESSAGE: Final = 4096
"""Bytes of an error's text that go into a header: clients refuse larger header lists."""


class Code(IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class CallFailed(Exception):
    """A call that ended with another code than OK: ours, or the peer's. `details` is an encoded google.rpc.Status, or b""."""

    def __init__(self, code: int, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def trailers_of(error: CallFailed | None) -> Fields:
    if error is None:
        return [("grpc-status", "0")]
    found = [
        ("grpc-status", str(int(error.code))),
        ("grpc-message", quote(error.message[:LONGEST_MESSAGE], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")),
    ]
    if error.details:
        found.append(("grpc-status-details-bin", base64.b64encode(error.details).decode().rstrip("=")))
    return found


def failure_in(trailers: Mapping[str, str]) -> CallFailed | None:
    """What a peer's trailers tell; None for success."""
    text = trailers.get("grpc-status", "")
    code = int(text) if text.isdecimal() else Code.UNKNOWN
    return CallFailed(code, unquote(trailers.get("grpc-message", "the peer sent no status"))) if code else None
