"""`certs.d/HOST/hosts.toml` in containerd's form: which hosts answer for a registry's name, and how.

server = "https://registry.example"

[host."https://mirror.example/v2/cache"]
  capabilities = ["pull", "resolve"]
  ca = "mirror.pem"                       # or a list
  client = [["mirror.cert", "mirror.key"]]
  skip_verify = false
  override_path = true                    # the URL holds the whole path, /v2 is not added
  [host."https://mirror.example/v2/cache".header]
    x-team = "ml"
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from corten.registry.endpoint import Endpoint

EVERYTHING = ("pull", "resolve", "push")


def parse_hosts(data: Mapping[str, Any], folder: Path, own: tuple[Endpoint, ...]) -> list[Endpoint]:
    """The endpoints, best first: the hosts of the file, then its `server`, or the registry's `own` ones.

    Relative paths start at `folder`. Raises TypeError, ValueError or AttributeError for what is not of that form.
    """
    hosts = data.get("host", {})
    if not isinstance(hosts, dict):
        raise TypeError("[host] must be a table")
    found = [_host(url, options, folder) for url, options in hosts.items()]
    server = data.get("server")
    if isinstance(server, str):
        return [*found, replace(own[0], url=_url(server))]
    return [*found, *own]


def _host(url: str, options: Mapping[str, Any], folder: Path) -> Endpoint:
    can = options.get("capabilities", EVERYTHING)
    authorities = options.get("ca", ())
    files = [authorities] if isinstance(authorities, str) else authorities
    headers = options.get("header", {})
    return Endpoint(
        _url(url),
        verify=not options.get("skip_verify", False),
        ca_files=tuple(str(folder / name) for name in files),
        client_cert=_client(options.get("client"), folder),
        can_push="push" in can,
        can_pull="pull" in can,
        whole_path=bool(options.get("override_path", False)),
        headers=tuple((name, value if isinstance(value, str) else ", ".join(value)) for name, value in headers.items()),
    )


def _client(given: Any, folder: Path) -> tuple[str, str] | None:
    """A file with certificate and key, or the first pair of two files."""
    if not given:
        return None
    first = given if isinstance(given, str) else given[0]
    names = (first, first) if isinstance(first, str) else tuple(first)
    certificate, key = names
    return str(folder / certificate), str(folder / (key or certificate))


def _url(text: str) -> str:
    return (text if "://" in text else f"https://{text}").rstrip("/")
