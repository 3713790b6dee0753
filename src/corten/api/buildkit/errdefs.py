"""Errors of a build as BuildKit's clients read them: the place in the Dockerfile and the vertex are details of the call's status."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from corten.api.buildkit.messages.worker import AnyMessage, RpcStatus
from corten.build.dockerfile.errors import DockerfileError
from corten.build.solve import StepFailed
from corten.build.steps.run import RunFailed
from corten.errors import Conflict, Denied, EngineError, Invalid, NotFound, Unauthenticated, Unavailable, Unsupported
from corten.http.grpc.protobuf import encode
from corten.http.grpc.status import CallFailed, Code

_ERRDEFS: Final = "github.com/moby/buildkit/errdefs"
_CODES: Final[Mapping[type[EngineError], Code]] = {
    NotFound: Code.NOT_FOUND,
    Invalid: Code.INVALID_ARGUMENT,
    Conflict: Code.FAILED_PRECONDITION,
    Unauthenticated: Code.UNAUTHENTICATED,
    Denied: Code.PERMISSION_DENIED,
    Unsupported: Code.UNIMPLEMENTED,
    Unavailable: Code.UNAVAILABLE,
}


def call_failed(error: EngineError) -> CallFailed:
    """For an error that has no place in a Dockerfile."""
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), Code.UNKNOWN)
    return CallFailed(code, f"{error.message} ({error.hint})" if error.hint else error.message)


def build_failed(error: EngineError, *, source: str, filename: str, vertex: str) -> CallFailed:
    """`source` is the Dockerfile's text; `vertex` the failed step's digest, or ""."""
    details = []
    if (place := _place(error)) is not None and source:
        data = base64.b64encode(source.encode()).decode()
        span = {"start": {"line": place[0]}, "end": {"line": place[1]}}
        details.append(_detail(f"{_ERRDEFS}.Source+json", {"info": {"filename": filename, "data": data}, "ranges": [span]}))
    if vertex:
        details.append(_detail(f"{_ERRDEFS}.Vertex+json", {"digest": vertex}))
    cause = error.cause if isinstance(error, StepFailed) else error
    if isinstance(cause, RunFailed):
        details.append(_detail("github.com/moby/buildkit/gatewayapi.ExitMessage+json", {"Code": cause.status}))
    message = f"{error.message} ({error.hint})" if error.hint and not details else error.message
    return CallFailed(Code.UNKNOWN, message, encode(RpcStatus(Code.UNKNOWN, message, details)))


def _place(error: EngineError) -> tuple[int, int] | None:
    if isinstance(error, StepFailed):
        return error.place.start, error.place.end
    return (error.line, max(error.line, error.end)) if isinstance(error, DockerfileError) else None


def _detail(kind: str, value: Mapping[str, Any]) -> AnyMessage:
    return AnyMessage(kind, msgspec.json.encode(value))
