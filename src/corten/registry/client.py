"""One repository at a registry: manifests, blobs, tags, uploads. Endpoints are tried in order; digests are checked at this border.

Blocking; called from worker threads. Paths and bodies: OCI distribution specification 1.1.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from corten.errors import EngineError, Invalid, NotFound, Unauthenticated, Unavailable
from corten.ids import Digest
from corten.registry.auth import Authenticator, Credentials
from corten.registry.endpoint import Endpoint
from corten.registry.failures import access_denied
from corten.registry.hosts import RegistrySettings, endpoints
from corten.registry.transport import Answer, Cancelled, Transport, close_quietly, registry_error

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LARGEST_MANIFEST = 4 << 20
BODY_TRIES = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """`raw` is what the digest covers; keep it byte for byte."""

    digest: Digest
    media_type: str
    raw: bytes


class Session:
    """Endpoints and tokens for one registry name, kept while a pull or push lasts. Thread-safe. Close it."""

    def __init__(
        self,
        domain: str,
        settings: RegistrySettings,
        credentials: Credentials | None = None,
        *,
        push: bool = False,
        login: bool = False,
    ) -> None:
        """`push` and `login` leave mirrors out; `login` asks for an identity token besides."""
        self.domain = domain
        self.connections = settings.connections
        self.retry = settings.retry
        found = endpoints(domain, settings, push=push or login)
        self._links = [
            _Link(Transport(endpoint, settings.proxies, retry=settings.retry), credentials, wants_identity=login) for endpoint in found
        ]
        self._chosen: _Link | None = None

    def close(self) -> None:
        for link in self._links:
            link.transport.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint(self) -> Endpoint:
        return (self._chosen or self._links[0]).transport.endpoint

    def login(self) -> str:
        """Tries the credentials on `/v2/`; the identity token that the registry gives for them, "" for none. Raises Unauthenticated."""
        answer = self.request("GET", "/v2/", scope="")
        close_quietly(answer)
        link = self._chosen or self._links[-1]
        if answer.status >= 400:
            outcome = f"{answer.status} {HTTPStatus(answer.status).phrase}" if answer.status in set(HTTPStatus) else str(answer.status)
            text = f"login attempt to {link.transport.endpoint.url}/v2/ failed with status: {outcome}"
            raise (Unauthenticated if answer.status in (401, 403) else Unavailable)(text, reason="login-refused")
        return link.authenticator.identity_token

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Asks the endpoint that worked before and, where it fails, those behind it; the last one's failure is the answer."""
        ask = _Ask(method, path, scope, headers or {}, body, cancelled)
        links = self._links[self._links.index(self._chosen) :] if self._chosen else self._links
        if "://" in path:  # an upload's place: whose it is answers, and nobody else
            links = [link for link in links if link.owns(path)] or links[-1:]
        for number, link in enumerate(links):
            final = number == len(links) - 1
            try:
                answer = link.request(ask)
            except (Unavailable, Unauthenticated):
                if final:
                    raise
                continue
            if final or answer.status < 400:
                if answer.status < 400 and link.owns(path):
                    self._chosen = self._chosen or link
                return answer
            close_quietly(answer)
        raise AssertionError("an endpoint list is never empty")

    def fetch(self, url: str, *, headers: Mapping[str, str], cancelled: Callable[[], bool] = lambda: False) -> Answer:
        """Something that lies elsewhere, asked for without credentials."""
        return self._links[-1].transport.request("GET", url, headers=headers, cancelled=cancelled)


class _Link:
    def __init__(self, transport: Transport, credentials: Credentials | None, *, wants_identity: bool = False) -> None:
        self.transport = transport
        self.authenticator = Authenticator(transport, credentials, wants_identity=wants_identity)

    def owns(self, path: str) -> bool:
        """Whether a path, or a full URL, is at this endpoint: others get no credentials."""
        return "://" not in path or urlsplit(path)[:2] == urlsplit(self.transport.endpoint.url)[:2]

    def request(self, ask: "_Ask") -> Answer:
        own = self.owns(ask.path)
        answer = self._send(ask, self.authenticator.header(ask.scope) if own else {})
        if answer.status != 401 or not own:
            return answer
        close_quietly(answer)
        try:
            authorization = self.authenticator.answer(answer, ask.scope)
        except Unauthenticated as error:
            text = f'{ask.method.capitalize()} "{self.transport.endpoint.address(ask.path)}": {error.message}'
            raise Unauthenticated(text, reason=error.reason, hint=error.hint) from error
        return self._send(ask, authorization)

    def _send(self, ask: "_Ask", authorization: dict[str, str]) -> Answer:
        headers = {**ask.headers, **authorization}
        return self.transport.request(ask.method, ask.path, headers=headers, body=ask.body, cancelled=ask.cancelled)


@dataclass(frozen=True, slots=True)
class _Ask:
    method: str
    path: str
    scope: str
    headers: Mapping[str, str]
    body: bytes | None
    cancelled: Callable[[], bool]


class Repository:
    """`name` is the path at the registry (`library/debian`), `familiar` how errors name it."""

    def __init__(self, session: Session, name: str, *, familiar: str = "", push: bool = False) -> None:
        self.session = session
        self.name = name
        self.familiar = familiar or name
        self.scope = f"repository:{name}:pull,push" if push else f"repository:{name}:pull"

    def manifest(self, reference: str, *, accept: tuple[str, ...] = MANIFEST_TYPES) -> Manifest:
        """The manifest or index that a tag or digest names, verified. NotFound in Docker's words when it is not there."""
        what = f"manifest for {self.familiar}:{reference}"
        answer, raw = self._get_whole(f"manifests/{reference}", {"Accept": ", ".join(accept)}, LARGEST_MANIFEST + 1, what)
        if len(raw) > LARGEST_MANIFEST:
            raise Invalid(f"manifest of {self.familiar}:{reference} is larger than {LARGEST_MANIFEST} bytes", reason="manifest-too-large")
        digest = Digest(f"sha256:{hashlib.sha256(raw).hexdigest()}")
        for claimed in (reference if ":" in reference else "", answer.headers.get("Docker-Content-Digest", "")):
            if claimed.startswith("sha256:") and claimed != digest:
                raise Invalid(f"manifest verification failed for digest {claimed}: got {digest}", reason="wrong-digest")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(digest, media_type or _declared_type(raw), raw)

    def resolve(self, reference: str, known: Callable[[Digest], Manifest | None]) -> Manifest:
        """`manifest`, but one whose digest `known` knows is not sent again: registries that limit pulls count GETs only."""
        if ":" in reference:
            return known(Digest(reference)) or self.manifest(reference)
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        answer = self.session.request("HEAD", self._path(f"manifests/{reference}"), scope=self.scope, headers=headers)
        close_quietly(answer)
        claimed = answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""
        return (known(Digest(claimed)) if claimed else None) or self.manifest(reference)

    def has_manifest(self, digest: Digest) -> bool:
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        answer = self.session.request("HEAD", self._path(f"manifests/{digest}"), scope=self.scope, headers=headers)
        close_quietly(answer)
        return answer.status == 200

    def blob(self, digest: Digest, size: int) -> bytes:
        """A small blob (a config) whole and verified."""
        _, raw = self._get_whole(f"blobs/{digest}", {}, size + 1, f"blob {digest}")
        if len(raw) != size or f"sha256:{hashlib.sha256(raw).hexdigest()}" != digest:
            raise Invalid(f"blob {digest}: got {len(raw)} bytes that do not match", reason="wrong-digest")
        return raw

    def open_blob(
        self, digest: Digest, start: int, end: int, *, urls: Sequence[str] = (), cancelled: Callable[[], bool] = lambda: False
    ) -> Answer:
        """An unread answer for bytes [start, end) of a blob: 206, or 200 from a registry that ignores ranges.

        `urls` are asked, without credentials, when the registry does not have it.
        """
        headers = {"Range": f"bytes={start}-{end - 1}"}
        try:
            return self._get(f"blobs/{digest}", headers, what=f"blob {digest}", cancelled=cancelled)
        except NotFound:
            for url in urls:
                if not url.startswith("https://") and self.session.endpoint.url.startswith("https:"):
                    continue
                answer = self.session.fetch(url, headers=headers, cancelled=cancelled)
                if answer.status in (200, 206):
                    return answer
                close_quietly(answer)
            raise

    def tags(self) -> list[str]:
        """All tags, following `Link` pages (at most 1,000 of them)."""
        found: list[str] = []
        path = self._path("tags/list?n=1000")
        for _ in range(1000):
            answer = self.session.request("GET", path, scope=self.scope)
            if answer.status != 200:
                error = registry_error(answer, f"repository {self.familiar} not found")
                if isinstance(error, NotFound):
                    text = f"repository {self.familiar} not found: name unknown: repository name not known to registry"
                    raise NotFound(text, reason="name-unknown")
                raise access_denied(self.familiar) if isinstance(error, Unauthenticated) else error
            with _closing(answer):
                found += _tags(answer.read(LARGEST_MANIFEST), self.familiar)
            link = answer.headers.get("Link", "")
            if 'rel="next"' not in link:
                break
            path = link[link.index("<") + 1 : link.index(">")]
        return found

    def _get_whole(self, tail: str, headers: Mapping[str, str], limit: int, what: str) -> tuple[Answer, bytes]:
        """A small body, asked for again when the connection breaks in the middle."""
        from urllib3.exceptions import HTTPError  # three megabytes that an idle daemon does not carry

        failure: HTTPError | None = None
        for _ in range(BODY_TRIES):
            answer = self._get(tail, headers, what=what)
            try:
                with _closing(answer):
                    return answer, answer.read(limit)
            except HTTPError as error:
                failure = error
        raise Unavailable(f"{what}: the registry ends the transfer early", reason="registry-truncated") from failure

    def _get(self, tail: str, headers: Mapping[str, str], *, what: str, cancelled: Callable[[], bool] = lambda: False) -> Answer:
        answer = self.session.request("GET", self._path(tail), scope=self.scope, headers=headers, cancelled=cancelled)
        if answer.status not in (200, 206):
            raise self._refusal(answer, what)
        return answer

    def _path(self, tail: str) -> str:
        return f"/v2/{self.name}/{tail}"

    def _refusal(self, answer: Answer, what: str) -> EngineError:
        error = registry_error(answer, what)
        if isinstance(error, Unauthenticated) or "denied" in error.message.lower():
            return access_denied(self.familiar)
        if isinstance(error, NotFound) and what.startswith("manifest"):
            return NotFound(f"{what} not found: manifest unknown: manifest unknown", reason="manifest-unknown")
        return error


@contextmanager
def _closing(answer: Answer) -> Iterator[None]:
    try:
        yield
    finally:
        close_quietly(answer)


def _declared_type(raw: bytes) -> str:
    try:
        data: Any = json.loads(raw)
        return str(data.get("mediaType", "")) if isinstance(data, dict) else ""
    except ValueError as error:
        raise Invalid("the manifest is no JSON", reason="bad-manifest") from error


def _tags(raw: bytes, name: str) -> list[str]:
    try:
        data: Any = json.loads(raw)
        return [str(tag) for tag in data.get("tags") or []]
    except (ValueError, AttributeError) as error:
        raise Invalid(f"tags of {name}: the registry's answer is no tag list", reason="bad-tag-list") from error


__all__ = ["Cancelled", "Manifest", "Repository", "Session"]
