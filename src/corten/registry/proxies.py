"""Which proxy a request goes through, by the rules of Go's programs, which registries' users know.

Loopback is never proxied. An entry of NO_PROXY is `*`, a network (10.0.0.0/8), an address, `example.com` (it and what is below it) or
`.example.com` (only what is below), each but networks with or without `:port`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Proxy URLs for each scheme ("" = none), and NO_PROXY's text."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], *, http: str = "", https: str = "", no_proxy: str = "") -> "ProxySettings":
        """What is said wins over HTTP_PROXY, HTTPS_PROXY and NO_PROXY in either case of letters."""

        def value(said: str, name: str) -> str:
            return said or environ.get(name) or environ.get(name.lower()) or ""

        return cls(value(http, "HTTP_PROXY"), value(https, "HTTPS_PROXY"), value(no_proxy, "NO_PROXY"))

    def find(self, url: str) -> str | None:
        """The proxy's URL for a request to `url`; None = none."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        host = (parts.hostname or "").rstrip(".")
        if not proxy or host == "localhost" or self._is_exempt(host, parts):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_exempt(self, host: str, parts: SplitResult) -> bool:
        address = _address(host)
        if address is not None and address.is_loopback:
            return True
        port = str(parts.port or (443 if parts.scheme == "https" else 80))
        entries = (entry.strip().lower() for entry in self.no_proxy.split(","))
        return any(_matches(entry, host, port, address) for entry in entries if entry)


def _matches(entry: str, host: str, port: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted_port = _split_port(entry)
    if wanted_port and wanted_port != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") > 1:  # an IPv6 address without brackets
        return entry, ""
    name, _, port = entry.partition(":")
    return name, port


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
