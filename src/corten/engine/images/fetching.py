"""The root file system of `docker import URL`, fetched piece by piece. Images of registries are `corten.engine.transfer`'s."""

import os
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

from corten.errors import Invalid, Unavailable
from corten.store.streams.loops import Outlet, drawn

_PIECE: Final = 256 << 10
_TIMEOUT: Final = 60.0
"""Seconds without a byte after which a server counts as gone."""


def check_url(text: str) -> str:
    """`text` as an http or https URL; one without a scheme means http, as in Docker. Raises Invalid."""
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f'cannot import from "{text}": not an http or https URL', reason="bad-url")
    return url


def fetched(url: str) -> AsyncIterator[bytes]:
    """The body of `url` (checked). Proxies and redirects are followed. Raises Unavailable, naming the URL."""

    def work(outlet: Outlet) -> None:
        import urllib.error
        import urllib.request  # three megabytes that an idle daemon does not carry

        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
                while piece := answer.read(_PIECE):
                    outlet.put(piece)
        except urllib.error.HTTPError as error:
            error.close()
            raise Unavailable(f'Get "{url}": {error.code} {error.reason}', reason="download-failed") from error
        except OSError as error:
            raise Unavailable(f'Get "{url}": {_plain(url, error)}', reason="download-failed") from error

    return drawn(work)


def _plain(url: str, error: OSError) -> str:
    """In Docker's words where it is about reaching the server."""
    parts, cause = urlsplit(url), getattr(error, "reason", None) or error
    if isinstance(cause, OSError) and cause.errno:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"dial tcp {parts.hostname}:{port}: connect: {os.strerror(cause.errno).lower()}"
    return str(cause)
