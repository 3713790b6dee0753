"""`X-Registry-Config`: what a client knows of all registries, for work that may need any of them."""

import base64

import msgspec

from corten.engine.transfer.credentials import registry_credentials
from corten.registry.auth import Credentials

_HUB_HOSTS = frozenset(("index.docker.io", "registry-1.docker.io"))


def read_registry_config(text: str) -> dict[str, Credentials]:
    """By registry's name. What cannot be read counts as nothing, as in Docker: most registries ask nobody who he is."""
    if not text:
        return {}
    try:
        raw = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, dict[str, str]])
    except (ValueError, msgspec.DecodeError):
        return {}
    return {_domain(host): registry_credentials(fields) for host, fields in raw.items()}


def _domain(host: str) -> str:
    name = host.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if name in _HUB_HOSTS else name
