"""The Engine API from outside: one engine, a negotiated version, JSON calls, streams and taken-over sockets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corten.client.endpoint import Endpoint
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import Query, query_string
from corten.errors import Denied, Unavailable
from corten.http.client import Answer, Client, Upgraded

Headers = Mapping[str, str]

NEWEST = "1.51"
OLDEST = "1.24"
JSON_TYPE = ("Content-Type", "application/json")


def version_key(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


class Api:
    """Calls one engine. Paths are without the version prefix, which is negotiated at the first call.

    Every method raises ApiError for an error status and CannotConnect when no engine answers.
    """

    def __init__(self, endpoint: Endpoint, *, agent: str, headers: Headers | None = None, pinned: str = "", newest: str = NEWEST) -> None:
        """`pinned` is an API version that is used without asking ($DOCKER_API_VERSION); `newest` the newest this client speaks."""
        self.endpoint = endpoint
        self._agent = agent
        self._headers = headers
        self._client = Client(endpoint.address, tls=endpoint.tls, headers=(("User-Agent", agent), *(headers or {}).items()))
        self._version = pinned
        self._newest = newest
        self.pinned = bool(pinned)
        self._greeting: Mapping[str, str] = {}

    @property
    def version(self) -> str:
        """The version in use: the engine's, but not newer than ours."""
        if not self._version:
            offered = self.greeting().get("api-version") or OLDEST
            self._version = min(offered, self._newest, key=version_key)
        return self._version

    def greeting(self) -> Mapping[str, str]:
        """The header fields of the engine's answer to a ping; it is asked once."""
        if not self._greeting:
            self._greeting = self.ping()
        return self._greeting

    def speaks(self, version: str) -> bool:
        return version_key(self.version) >= version_key(version)

    def sibling(self) -> "Api":
        """Another connection to the same engine, for a second thread or a signal handler."""
        return Api(self.endpoint, agent=self._agent, headers=self._headers, pinned=self.version)

    def ping(self) -> Mapping[str, str]:
        """The header fields of `_ping`. Engines that do not know HEAD are asked by GET."""
        with self._exchange("HEAD", "/_ping") as answer:
            if answer.status < 400:
                return answer.headers
        with self._exchange("GET", "/_ping") as answer:
            answer.read()
            return answer.headers

    def get(self, path: str, query: Query | None = None) -> Any:
        return self.call("GET", path, query).json()

    def get_raw(self, path: str, query: Query | None = None) -> bytes:
        """The body as sent: for who needs the order and spelling of the JSON."""
        return self.call("GET", path, query).read()

    def post(self, path: str, query: Query | None = None, body: Any = None) -> Any:
        """Sends `body` as JSON when it is not None. None when the answer is empty."""
        return self.call("POST", path, query, body=body).json()

    def delete(self, path: str, query: Query | None = None) -> Any:
        return self.call("DELETE", path, query).json()

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: Any = None,
        stream: Iterable[bytes] | None = None,
        headers: Headers | None = None,
    ) -> Answer:
        """An answer to be read by the caller. The request's body is `body` as JSON, or the pieces of `stream`."""
        fields = tuple((headers or {}).items())
        content: bytes | Iterable[bytes] | None = stream
        if stream is None and body is not None:
            content, fields = json.dumps(body).encode(), (*fields, JSON_TYPE)
        answer = self._exchange(method, self._target(path, query), fields, content)
        return self._checked(answer)

    def hijack(self, path: str, query: Query | None = None, *, body: Any = None) -> Upgraded:
        """The raw socket behind a POST that the engine upgrades."""
        content, fields = (None, ()) if body is None else (json.dumps(body).encode(), (JSON_TYPE,))
        target = self._target(path, query)
        try:
            answer = self._client.upgrade("POST", target, headers=fields, body=content)
        except (Unavailable, Denied) as error:
            raise self._refused(error) from error
        if isinstance(answer, Upgraded):
            return answer
        self._checked(answer)
        raise ApiError(answer.status, "the engine did not upgrade the connection", reason="no-upgrade")

    def close(self) -> None:
        self._client.close()

    def _target(self, path: str, query: Query | None) -> str:
        target = f"/v{self.version}{path}"
        return f"{target}?{query_string(query)}" if query else target

    def _exchange(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | Iterable[bytes] | None = None
    ) -> Answer:
        try:
            return self._client.request(method, target, headers=headers, body=body)
        except (Unavailable, Denied) as error:
            raise self._refused(error) from error

    def _refused(self, error: Unavailable | Denied) -> CannotConnect:
        if isinstance(error, Denied):
            return CannotConnect(
                f"permission denied while trying to connect to the Corten daemon socket at {self.endpoint.host}\nHint: {error.hint}"
            )
        return CannotConnect(f"Cannot connect to the Corten daemon at {self.endpoint.host}. Is cortend running?")

    def _checked(self, answer: Answer) -> Answer:
        if answer.status < 400:
            return answer
        raw = answer.read()
        fields: dict[str, Any] = {}
        if answer.headers.get("content-type", "").startswith("application/json"):
            try:
                fields = json.loads(raw)
            except ValueError:
                pass
        message = str(fields.get("message") or raw.decode("utf-8", "replace").strip() or f"status {answer.status} without a message")
        raise ApiError(answer.status, message.strip(), reason=str(fields.get("reason") or ""), hint=str(fields.get("hint") or ""))


def filters_query(filters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`--filter name=value` pairs as the `filters` parameter, or nothing when there are none."""
    table: dict[str, dict[str, bool]] = {}
    for name, value in filters:
        if name:
            table.setdefault(name, {})[value] = True
    return {"filters": json.dumps(table, separators=(",", ":"))} if table else {}
