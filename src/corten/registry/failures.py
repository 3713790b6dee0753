"""What a registry's refusal means to a user. No I/O."""

import json
from typing import Any

from corten.errors import Denied, EngineError, Invalid, NotFound, Unauthenticated, Unavailable

KINDS: dict[int, type[EngineError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    405: Invalid,
    413: Invalid,
    429: Unavailable,
}


def failure(status: int, body: bytes, what: str) -> EngineError:
    """`body` is the distribution API's `{"errors": [{code, message, detail}]}`, or anything."""
    code, message = _first_error(body)
    text = f"{what}: {message or f'the registry answered {status}'}"
    if status == 429:
        hint = "the registry limits requests: log in, wait, or use a mirror"
        return Unavailable(f"toomanyrequests: {text}", reason="registry-rate-limit", hint=hint)
    kind = KINDS.get(status, Unavailable if status >= 500 else EngineError)
    return kind(f"{code.lower()}: {text}" if code else text, reason=f"registry-{status}")


def _first_error(body: bytes) -> tuple[str, str]:
    try:
        data: Any = json.loads(body)
        first = data["errors"][0]
        return str(first.get("code", "")), str(first.get("message", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", ""


def access_denied(repository: str, detail: str = "requested access to the resource is denied") -> NotFound:
    """Docker's words for a pull that the registry refuses or does not know."""
    return NotFound(
        f"pull access denied for {repository}, repository does not exist or may require 'docker login': denied: {detail}",
        reason="pull-denied",
        hint="check the name, or log in",
    )
