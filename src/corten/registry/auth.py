"""Who we are to a registry: the ladder from anonymous over basic to bearer tokens.

A first request goes out with what is known. A 401 names a challenge; Basic is answered with the credentials, Bearer with a token
fetched from the challenge's realm (distribution token specification; OAuth2 form when an identity token is there). Tokens are
kept per realm, service and scope until shortly before they expire. One request is challenged once: a registry that goes on
answering 401 gets Unauthenticated, not a loop.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from corten.errors import Unauthenticated
from corten.registry.challenge import Challenge, parse_challenges
from corten.registry.transport import Answer, Transport, close_quietly

CLIENT = "corten"
EARLY = 10.0  # a token is renewed this many seconds before it ends


@dataclass(frozen=True, slots=True)
class Credentials:
    """As in `X-Registry-Auth`: a name and password, an identity (refresh) token, or a ready bearer token. All may be empty."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        if not self.username:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(slots=True)
class _Token:
    value: str
    expires: float


class Authenticator:
    """Adds an Authorization header for one endpoint and answers its challenges. Thread-safe."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials | None,
        *,
        wants_identity: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wants_identity`: ask token servers for a refresh token, too, which can stand for the password from then on."""
        self._transport = transport
        self._credentials = (credentials if transport.endpoint.credentials else None) or Credentials()
        self._wants_identity = wants_identity
        self.identity_token = ""
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._scheme = "bearer" if self._credentials.registry_token else ""
        self._lock = threading.Lock()

    def header(self, scope: str) -> dict[str, str]:
        """What to send for `scope` (`repository:NAME:pull`) before any challenge: {} when nothing is known yet."""
        if self._credentials.registry_token:
            return {"Authorization": f"Bearer {self._credentials.registry_token}"}
        token = self._tokens.get(scope)
        if token and token.expires > self._clock():
            return {"Authorization": f"Bearer {token.value}"}
        if self._scheme == "basic" and self._credentials.basic:
            return {"Authorization": self._credentials.basic}
        return {}

    def answer(self, answer: Answer, scope: str) -> dict[str, str]:
        """The header that meets the challenge of a 401 `answer`. Raises Unauthenticated when there is none."""
        challenges = parse_challenges(", ".join(answer.headers.getlist("WWW-Authenticate")))
        for challenge in challenges:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                with self._lock:
                    self._tokens[scope] = self._fetch(challenge, scope)
                self._scheme = "bearer"
                return self.header(scope)
            if challenge.scheme == "basic" and self._credentials.basic:
                self._scheme = "basic"
                return self.header(scope)
        raise Unauthenticated("no basic auth credentials", reason="registry-no-credentials", hint="log in to this registry first")

    def _fetch(self, challenge: Challenge, scope: str) -> _Token:
        realm = challenge.parameters["realm"]
        self._refuse_leak(realm)
        service = challenge.parameters.get("service", "")
        wanted = challenge.parameters.get("scope") or scope
        ask = self._oauth if self._credentials.identity_token else self._token
        answer = ask(realm, service, wanted)
        if answer.status != 200:
            status = answer.status
            close_quietly(answer)
            raise Unauthenticated(
                f"unauthorized: incorrect username or password ({urlsplit(realm).netloc} answered {status})"
                if self._credentials.basic
                else f"unauthorized: authentication required ({urlsplit(realm).netloc} answered {status})",
                reason="registry-token-refused",
                hint="log in again",
            )
        return self._parsed(answer, realm)

    def _token(self, realm: str, service: str, scope: str) -> Answer:
        query = [("account", self._credentials.username)] if self._credentials.username else []
        query += [("client_id", CLIENT), ("offline_token", "true")] if self._wants_identity else []
        query += [("service", service)] if service else []
        query += [("scope", part) for part in scope.split(" ") if part]
        headers = {"Authorization": self._credentials.basic} if self._credentials.basic else {}
        return self._transport.request("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}", headers=headers)

    def _oauth(self, realm: str, service: str, scope: str) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._credentials.identity_token,
            "service": service,
            "scope": scope,
            "client_id": CLIENT,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._transport.request("POST", realm, headers=headers, body=urlencode(form).encode())

    def _parsed(self, answer: Answer, realm: str) -> _Token:
        try:
            data: Any = json.loads(answer.read(1 << 20))
            value = data.get("token") or data["access_token"]
            lifetime = float(data.get("expires_in") or 60)
            if self._wants_identity:
                self.identity_token = str(data.get("refresh_token") or "")
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise Unauthenticated(f"{realm}: no token in the answer", reason="registry-bad-token") from error
        finally:
            close_quietly(answer)
        return _Token(str(value), self._clock() + max(lifetime - EARLY, 1.0))

    def _refuse_leak(self, realm: str) -> None:
        """An https registry may not talk us into sending a password over plain http."""
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Unauthenticated(f"the registry names a token realm that is no URL: {realm!r}", reason="registry-bad-realm")
        secret = self._credentials.basic or self._credentials.identity_token
        if secret and parts.scheme == "http" and self._transport.endpoint.url.startswith("https:"):
            raise Unauthenticated(f"the registry asks for credentials over plain http: {realm}", reason="registry-insecure-realm")
