"""Requests to one registry endpoint: TLS, proxies, retries with back-off, redirects that carry no credentials elsewhere.

urllib3 in worker threads; nothing here is asynchronous. An answer is handed out unread (`preload_content=False`): the caller
reads or closes it. A retry happens on connection errors, 429 and 5xx, honours Retry-After, and never on a body that cannot
be sent twice.
"""

import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from corten import __version__
from corten.errors import EngineError, Unavailable
from corten.lazy import LazyModule
from corten.registry.endpoint import Endpoint
from corten.registry.failures import failure
from corten.registry.proxies import ProxySettings
from corten.registry.retry import RetryPolicy

if TYPE_CHECKING:
    import ssl

    import urllib3

    Answer = urllib3.response.BaseHTTPResponse
else:
    ssl = LazyModule("ssl")
    urllib3 = LazyModule("urllib3")
    Answer = object

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONNECTIONS = 16
NO_PROXIES = ProxySettings()
_ALERT = re.compile(r"ALERT_\w*\] \w+ alert ([a-z ]+)")  # what the other side says against our certificate, or its absence
USER_AGENT = f"corten/{__version__}"


class Cancelled(Exception):
    """The caller no longer wants the answer."""


class Transport:
    """A pool of connections to one endpoint. Thread-safe."""

    def __init__(self, endpoint: Endpoint, proxies: ProxySettings = NO_PROXIES, *, retry: RetryPolicy | None = None) -> None:
        self.endpoint = endpoint
        self._proxies = proxies
        self._retry = retry or RetryPolicy()
        self._pools: dict[tuple[bool, str | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def _pool_for(self, url: str) -> "urllib3.PoolManager":
        """Connections to our own host, or to others, which are never shown the client's certificate; each proxy has its own."""
        key = same_origin(url, self.endpoint.url), self._proxies.find(url)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = _pool(self.endpoint, *key)
            return self._pools[key]

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
        url = self.endpoint.address(path)
        for attempt in range(self._retry.attempts):
            if cancelled():
                raise Cancelled
            last = attempt == self._retry.attempts - 1 or method == "PATCH"
            try:
                answer = self._follow(method, url, dict(headers or {}), body)
            except urllib3.exceptions.HTTPError as error:
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
        origin = url
        for _ in range(6):
            own = dict(self.endpoint.headers) if same_origin(url, self.endpoint.url) else {}
            answer = self._pool_for(url).request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **own, **headers},
                body=body,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=15, read=self._retry.silence),
            )
            target = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not target or method not in ("GET", "HEAD"):
                return answer
            answer.drain_conn()
            answer.release_conn()
            url = urljoin(url, target)
            if not same_origin(url, origin):
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        raise Unavailable(f"{url}: too many redirects", reason="registry-redirects")


def host_trust() -> "ssl.SSLContext":
    """Trusts the authorities that the host trusts."""
    context = ssl.create_default_context()
    # From Python 3.13 on the default refuses authorities without a key usage, as the usual openssl recipes make them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _pool(endpoint: Endpoint, is_own: bool, proxy: str | None) -> "urllib3.PoolManager":
    context = host_trust()
    for path in endpoint.ca_files:
        context.load_verify_locations(path)
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint.client_cert and is_own:
        context.load_cert_chain(*endpoint.client_cert)
    if proxy is None:
        return urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=context)
    parts = urlsplit(proxy)
    said = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return urllib3.ProxyManager(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        maxsize=CONNECTIONS,
        ssl_context=context,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=said) if said else None,
    )


def same_origin(a: str, b: str) -> bool:
    """Whether credentials for `a` may go to `b`: the same scheme, host and port. A redirect from https to http of one host is none."""
    try:
        return _origin(a) == _origin(b)
    except ValueError:  # a port that is none
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _may_pass(error: "urllib3.exceptions.HTTPError") -> bool:
    """A refused connection, a host that swallows packets or a bad certificate will not mend itself within a second."""
    wrong = urllib3.exceptions
    reason = error.reason if isinstance(error, wrong.MaxRetryError) else error
    return not isinstance(reason, wrong.NewConnectionError | wrong.ConnectTimeoutError | wrong.SSLError)


def _unreachable(url: str, error: "urllib3.exceptions.HTTPError") -> NoReturn:
    """In Docker's words, whose first request to a registry always is `/v2/`."""
    wrong = urllib3.exceptions
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc}/v2/" if parts.path.startswith("/v2/") else url
    cause = error.reason if isinstance(error, wrong.MaxRetryError) and error.reason else error
    hint = "is the name right, and is a proxy or --insecure-registry needed?"
    if _ALERT.search(str(cause)):
        hint = f"the registry wants another client certificate: /etc/corten/certs.d/{parts.netloc}/client.cert and client.key"
    raise Unavailable(f'Get "{shown}": {_plain(cause, parts)}', reason="registry-unreachable", hint=hint) from error


def _plain(error: BaseException, url: SplitResult) -> str:
    wrong = urllib3.exceptions
    text = str(error)
    address = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
    if isinstance(error, wrong.NameResolutionError):
        return f"dial tcp: lookup {url.hostname}: no such host"
    if isinstance(error, wrong.ConnectTimeoutError) and not isinstance(error, wrong.NewConnectionError):
        return f"dial tcp {address}: i/o timeout"
    if isinstance(error, wrong.ReadTimeoutError):
        return f"{url.netloc}: timeout awaiting response headers"
    if refused := _ALERT.search(text):
        return f"remote error: tls: {refused[1]}"
    if isinstance(error, wrong.SSLError):
        return f"tls: failed to verify certificate: {text}"
    if isinstance(error, wrong.ProxyError):
        return f"proxyconnect tcp: {text}"
    detail = text.rpartition("] ")[2].lower() if "] " in text else text
    return f"dial tcp {address}: connect: {detail}" if isinstance(error, wrong.NewConnectionError) else f"{url.netloc}: {detail}"


def close_quietly(answer: Answer) -> None:
    """Gives the connection back when little is unread, else closes it."""
    try:
        answer.close()
    except (urllib3.exceptions.HTTPError, OSError):
        return


def registry_error(answer: Answer, what: str) -> EngineError:
    """The distribution API's error body as one of ours; reads at most 64 KiB of it."""
    try:
        body = answer.read(65536)
    except urllib3.exceptions.HTTPError:
        body = b""
    close_quietly(answer)
    return failure(answer.status, body, what)
