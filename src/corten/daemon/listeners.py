"""The sockets on which the API listens: unix, tcp, tcp with TLS."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from corten.config import Config
from corten.http.address import parse_address
from corten.http.listen import Listener, open_listeners

if TYPE_CHECKING:
    import ssl


def listeners_of(config: Config) -> Iterator[Listener]:
    context = _tls_context(config)
    groups = (config.group,) if config.group else ("docker", "corten")
    for host in config.hosts:
        yield from open_listeners(parse_address(host, tls=context is not None), groups=groups, tls=context)


def _tls_context(config: Config) -> "ssl.SSLContext | None":
    if not (config.tls or config.tls_verify):
        return None
    from corten.http.tls import server_context

    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")  # dockerd's default
    cert, key = Path(config.tls_cert or folder / "cert.pem"), Path(config.tls_key or folder / "key.pem")
    return server_context(cert, key, client_ca=Path(config.tls_ca or folder / "ca.pem") if config.tls_verify else None)
