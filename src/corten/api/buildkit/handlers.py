"""`/grpc` and `/session`: BuildKit's two ways in, HTTP/2 on a connection that was HTTP/1.1."""

from corten.api.request import Request
from corten.errors import Invalid
from corten.http.request import Hijacked
from corten.http.response import TAKEN, Reply

_EXPOSED = "x-docker-expose-session-"
_LONGEST_ID = 200


async def grpc(request: Request) -> Reply:
    request.app.buildkit.control(request.app, await _upgraded(request))
    return TAKEN


async def session(request: Request) -> Reply:
    session_id = request.headers.get(f"{_EXPOSED}uuid")
    if not session_id or len(session_id) > _LONGEST_ID:
        raise Invalid("a session needs an id", reason="no-session-id")
    shared_key = request.headers.get(f"{_EXPOSED}sharedkey")
    methods = request.headers.get_all(f"{_EXPOSED}grpc-method")
    request.app.buildkit.session(request.app, await _upgraded(request), session_id, shared_key, methods)
    return TAKEN


async def _upgraded(request: Request) -> Hijacked:
    if request.headers.get("upgrade").lower() != "h2c":
        raise Invalid("no upgrade", reason="no-upgrade", hint="Connection: Upgrade, Upgrade: h2c")
    return await request.hijack("HTTP/1.1 101 Switching Protocols", (("Connection", "Upgrade"), ("Upgrade", "h2c")))
