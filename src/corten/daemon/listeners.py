"""The sockets on which the API listens: unix, tcp, tcp with TLS."""

import logging
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from corten.config import Config
from corten.errors import Invalid
from corten.http.address import Address, parse_address
from corten.http.listen import Listener, open_listeners

if TYPE_CHECKING:
    import ssl


logger = logging.getLogger("corten.daemon")


def check_hosts(config: Config, *, declines_tls: bool) -> None:
    """Whoever reaches a tcp socket without --tlsverify is root on this machine: a warning, as in Docker.

    Raises Invalid for an address that others can reach, unless TLS was turned off by name (--tls=false or --tlsverify=false).
    """
    if config.tls_verify:
        return
    for address in map(parse_address, config.hosts):
        if address.scheme != "tcp":
            continue
        if not (config.tls or declines_tls or _is_loopback(address)):
            raise Invalid(
                f"{address} without TLS: everybody who reaches it gets root access on this machine",
                reason="tcp-without-tls",
                hint="use --tlsverify and certificates, an address of the loopback interface, or insist with --tls=false",
            )
        logger.warning("[DEPRECATION NOTICE]: API is accessible on %s without --tlsverify", address)
        logger.warning(
            "Access to the remote API is equivalent to root access on the host; scripts in a browser can reach loopback addresses"
        )


def _is_loopback(address: Address) -> bool:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False  # listening there tells why
    return all(ip_address(str(where[0]).partition("%")[0]).is_loopback for *_, where in found)


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
