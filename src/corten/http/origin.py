"""Requests that a page in somebody's browser makes, by its own name for this engine (DNS rebinding) or across sites.

Looked at on plain tcp alone: a unix socket is out of a browser's reach, and with TLS the certificate does not have the page's name.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from corten.http.message import Headers


def host_names(listened: Iterable[str] = ()) -> frozenset[str]:
    """The names with a dot by which clients may call this machine: its own, and those it was told to listen on."""
    return frozenset(name.lower() for name in (socket.gethostname(), *listened) if name)


def is_foreign(headers: Headers, names: frozenset[str]) -> bool:
    """Whether the request comes from a page of another site, or was made out to a public name that is not this machine's."""
    host = headers.get("Host")
    if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return True
    origin = headers.get("Origin")
    if origin and urlsplit(origin).netloc.lower() != host.lower():
        return True
    return not _is_ours(_hostname(host), names)


def _hostname(host: str) -> str:
    """Without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def _is_ours(name: str, names: frozenset[str]) -> bool:
    """Names without a dot are a local network's own (`docker`, `buildbox`): nobody can buy one."""
    if "." not in name and ":" not in name:
        return True
    if name in names or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
