"""A request as API handlers see it: path parameters, query values read as Docker reads them, JSON bodies, streams.

A handler is `async def container_kill(request: Request) -> Reply`. It reads the request, calls an engine object
(`request.app.containers`), and answers with `json_response(...)`, `Response(204)`, `Stream(...)` or `TAKEN`. It raises
`corten.errors` for everything that goes wrong; `App` turns them into answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from corten.api import wire
from corten.api.filters import parse_filters
from corten.api.versions import Version, stream_type
from corten.errors import Invalid
from corten.http.message import Headers
from corten.http.request import BODY_LIMIT, Hijacked
from corten.http.request import Request as HttpRequest
from corten.http.response import Fields, Reply

if TYPE_CHECKING:
    from corten.api.services import Services

T = TypeVar("T")

Handler = Callable[["Request"], Awaitable[Reply]]

_FALSE: Final = frozenset(("", "0", "no", "false", "none"))


class Request:
    __slots__ = ("app", "http", "params", "version")

    def __init__(self, http: HttpRequest, app: Services, params: Mapping[str, str], version: Version) -> None:
        self.http = http
        self.app = app
        self.params = params
        self.version = version

    @property
    def headers(self) -> Headers:
        return self.http.headers

    def text(self, name: str, default: str = "") -> str:
        """The first value of that name in the query. Raises Invalid for a null byte, which no name or path holds."""
        values = self.http.query.get(name)
        if values and "\0" in values[0]:
            raise Invalid(f"invalid value for {name}: it holds a null byte", reason="null-byte")
        return values[0] if values else default

    def values(self, name: str) -> list[str]:
        """All values of that name in the query."""
        return list(self.http.query.get(name, ()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Docker's booleans: "", 0, no, false and none are false, anything else is true. `default` when not said."""
        values = self.http.query.get(name)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; empty or missing is `default`. Raises Invalid."""
        text = self.text(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise Invalid(f'invalid value for {name}: "{text}" is not a whole number', reason="bad-number") from None

    def filters(self, *accepted: str) -> dict[str, list[str]]:
        """The `filters` of a list, events or prune call: values by name. Raises Invalid for a name that is not accepted."""
        return parse_filters(self.text("filters"), accepted)

    async def json(self, kind: type[T], *, default: T | None = None) -> T:
        """The body as `kind`. `default` stands for an empty body; without one that is an error where JSON was announced. Raises Invalid."""
        data = await self.http.body()
        if not data and default is not None:
            return default
        content_type = self.headers.get("content-type")
        if not data and not content_type:
            return wire.decode(kind, b"{}")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise _wrong_content_type(content_type)
        return wire.decode(kind, data)

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        return await self.http.body(limit)

    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece (archives); the client is slowed to the reader's pace. Raises ClientGone."""
        return self.http.stream()

    async def hijack_stream(self, *, multiplexed: bool) -> Hijacked:
        """Takes the socket over as attach and exec do: `101 UPGRADED` if the client sent `Upgrade`, else `200 OK`.

        The head has left when this returns, so a process started afterwards cannot print before it. The caller owns the
        result (`with await request.hijack_stream(...) as taken:`), hands its fd on, and answers TAKEN.
        """
        if "upgrade" in self.headers:
            content_type = stream_type(self.version, multiplexed=multiplexed)
            return await self.hijack(
                "HTTP/1.1 101 UPGRADED", (("Content-Type", content_type), ("Connection", "Upgrade"), ("Upgrade", "tcp"))
            )
        return await self.hijack("HTTP/1.1 200 OK", (("Content-Type", stream_type(self.version, multiplexed=False)),))

    async def hijack(self, status_line: str, headers: Fields) -> Hijacked:
        """Takes the socket over behind a head of the caller's making."""
        return await self.http.hijack(status_line, headers)


def _wrong_content_type(text: str) -> Invalid:
    if not text:
        return Invalid("malformed Content-Type header (): mime: no media type", reason="bad-content-type")
    return Invalid(f"unsupported Content-Type header ({text}): must be 'application/json'", reason="bad-content-type")
