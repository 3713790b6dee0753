"""Where an engine listens, as the user writes it: `unix:///run/x.sock`, `tcp://host:port`, `fd://`. Light: the CLI imports it."""

from typing import NamedTuple

from corten.errors import Invalid

TCP_PORT = 2375
TLS_PORT = 2376


class TlsFiles(NamedTuple):
    """PEM files, as `--tlscacert --tlscert --tlskey` name them. `verify` is `--tlsverify`."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class Address(NamedTuple):
    """`scheme` is unix, tcp or fd; `path` is the socket's path (unix) or a name (fd), `host` and `port` are tcp's."""

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.scheme == "tcp":
            return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        return f"{self.scheme}://{self.path}"


def parse_address(text: str, *, tls: bool = False) -> Address:
    """Docker's `-H` forms; `http(s)://host:port` counts as tcp. A missing port is 2375, with TLS 2376. Raises Invalid."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
    if scheme in ("unix", "fd"):
        if scheme == "unix" and not rest:
            raise _bad(text)
        return Address(scheme, path=rest)
    if scheme not in ("tcp", "http", "https"):
        raise _bad(text)
    host, port = _split_host(rest.partition("/")[0], text)
    return Address("tcp", host=host or "127.0.0.1", port=port or (TLS_PORT if tls else TCP_PORT))


def _split_host(text: str, whole: str) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise _bad(whole)
        port = rest[1:]
    else:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise _bad(whole)
    return host, int(port or 0)


def _bad(text: str) -> Invalid:
    return Invalid(f"invalid bind address format: {text}", reason="bad-address", hint="use unix:///path/to.sock or tcp://host:port")
