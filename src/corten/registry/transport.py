"""Requests to one registry endpoint: TLS, proxies, retries with back-off, redirects that carry no credentials elsewhere.

urllib3 in worker threads; nothing here is asynchronous. An answer is handed out unread (`preload_content=False`): the caller
reads or closes it. A retry happens on connection errors, 429 and 5xx, honours Retry-After, and never on a body that cannot
be sent twice.
"""

import random
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from corten import __version__
from corten.errors import EngineError, Unavailable
from corten.registry.failures import failure
from corten.registry.hosts import Endpoint

Answer = urllib3.response.BaseHTTPResponse
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = f"corten/{__version__}"


class Cancelled(Exception):
    """The caller no longer wants the answer."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in all; waits `first` seconds, doubling, up to `longest`; `longest` also caps Retry-After."""

    attempts: int = 6
    first: float = 0.25
    longest: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, attempt: int, retry_after: str | None) -> None:
        asked = _seconds(retry_after) if retry_after else None
        seconds = self.first * 2**attempt * random.uniform(0.8, 1.2) if asked is None else asked
        self.sleep(min(self.longest, seconds))


def _seconds(retry_after: str) -> float | None:
    """`Retry-After`: seconds, or a date (RFC 9110 §10.2.3). None for neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


class Transport:
    """A pool of connections to one endpoint. Thread-safe."""

    def __init__(self, endpoint: Endpoint, *, retry: RetryPolicy | None = None, connections: int = 16) -> None:
        self.endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._pool = _pool(endpoint, connections)
        self._foreign = _pool(None, connections)

    def close(self) -> None:
        self._pool.clear()
        self._foreign.clear()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """The answer to `method` on `path` (or a full URL), after redirects; its body is unread.

        Raises Unavailable when the endpoint cannot be reached or keeps failing; Cancelled when asked to stop. A PATCH is tried once:
        the registry may have taken part of it.
        """
        url = urljoin(f"{self.endpoint.url}/", path) if "://" not in path else path
        for attempt in range(self._retry.attempts):
            if cancelled():
                raise Cancelled
            last = attempt == self._retry.attempts - 1 or method == "PATCH"
            try:
                answer = self._follow(method, url, dict(headers or {}), body)
            except HTTPError as error:
                if last or not _may_pass(error):
                    _unreachable(url, error)
                self._retry.wait(attempt, None)
                continue
            if answer.status not in RETRIED or last:
                return answer
            answer.drain_conn()
            answer.release_conn()
            self._retry.wait(attempt, answer.headers.get("Retry-After"))
        raise AssertionError("a policy has at least one attempt")

    def _follow(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        origin = urlsplit(url).netloc
        for _ in range(6):
            own = _same_host(url, self.endpoint.url)
            pool = self._pool if own else self._foreign
            answer = pool.request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                body=body,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=15, read=60),
            )
            target = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not target or method not in ("GET", "HEAD"):
                return answer
            answer.drain_conn()
            answer.release_conn()
            url = urljoin(url, target)
            if urlsplit(url).netloc != origin:
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        raise Unavailable(f"{url}: too many redirects", reason="registry-redirects")


def _pool(endpoint: Endpoint | None, connections: int) -> urllib3.PoolManager:
    context = ssl.create_default_context(cafile=endpoint.ca_file if endpoint else None)
    # From Python 3.13 on the default refuses authorities without a key usage, as the usual openssl recipes make them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if endpoint and endpoint.ca_file:
        context.load_default_certs()
    if endpoint and not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint and endpoint.client_cert:
        context.load_cert_chain(*endpoint.client_cert)
    proxy = _proxy_for(endpoint.url) if endpoint else None
    if proxy:
        return urllib3.ProxyManager(proxy, maxsize=connections, ssl_context=context)
    return urllib3.PoolManager(maxsize=connections, ssl_context=context)


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _same_host(a: str, b: str) -> bool:
    return urlsplit(a)[:2] == urlsplit(b)[:2]


def _may_pass(error: HTTPError) -> bool:
    """A refused connection, a host that swallows packets or a bad certificate will not mend itself within a second."""
    reason = error.reason if isinstance(error, MaxRetryError) else error
    return not isinstance(reason, NewConnectionError | ConnectTimeoutError | SSLError)


def _unreachable(url: str, error: HTTPError) -> NoReturn:
    """In Docker's words, whose first request to a registry always is `/v2/`."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc}/v2/" if parts.path.startswith("/v2/") else url
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    hint = "is the name right, and is a proxy or --insecure-registry needed?"
    raise Unavailable(f'Get "{shown}": {_plain(cause, parts)}', reason="registry-unreachable", hint=hint) from error


def _plain(error: BaseException, url: SplitResult) -> str:
    text = str(error)
    address = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
    if isinstance(error, NameResolutionError):
        return f"dial tcp: lookup {url.hostname}: no such host"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"dial tcp {address}: i/o timeout"
    if isinstance(error, ReadTimeoutError):
        return f"{url.netloc}: timeout awaiting response headers"
    if isinstance(error, SSLError):
        return f"tls: failed to verify certificate: {text}"
    if isinstance(error, ProxyError):
        return f"proxyconnect tcp: {text}"
    detail = text.rpartition("] ")[2].lower() if "] " in text else text
    return f"dial tcp {address}: connect: {detail}" if isinstance(error, NewConnectionError) else f"{url.netloc}: {detail}"


def close_quietly(answer: Answer) -> None:
    """Gives the connection back when little is unread, else closes it."""
    try:
        answer.close()
    except (HTTPError, OSError):
        return


def registry_error(answer: Answer, what: str) -> EngineError:
    """The distribution API's error body as one of ours; reads at most 64 KiB of it."""
    try:
        body = answer.read(65536)
    except HTTPError:
        body = b""
    close_quietly(answer)
    return failure(answer.status, body, what)
