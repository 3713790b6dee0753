"""Which engine to talk to: `-H`, `--context`, the environment, the current context, or Corten's own socket, in this order."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from corten.client.configfile import ConfigFile
from corten.client.contexts import DEFAULT, Context, ContextMissing, ContextStore
from corten.client.errors import BadEndpoint
from corten.errors import Invalid
from corten.http.address import Address, TlsFiles, parse_address

DEFAULT_HOST = "unix:///run/corten/corten.sock"


class TlsChoice(NamedTuple):
    """The `--tls*` flags. An empty path means the file of that name in the certificate folder."""

    use: bool = False
    verify: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""


class Endpoint(NamedTuple):
    """`host` is the address as the user wrote it. `is_default`: nobody named an engine, so one may be started."""

    host: str
    address: Address
    tls: TlsFiles | None
    context: str
    is_default: bool


class Choice(NamedTuple):
    """What the command line says about the engine."""

    host: str = ""
    context: str = ""
    tls: TlsChoice = TlsChoice()


def resolve(choice: Choice, environ: Mapping[str, str], config: ConfigFile) -> Endpoint:
    """Raises BadEndpoint."""
    if choice.host and choice.context:
        raise BadEndpoint("conflicting options: cannot specify both --host and --context")
    name = context_name(choice, environ, config)
    if name != DEFAULT:
        return _from_context(name, config)
    named = choice.host or environment_host(environ)
    return _from_host(named or DEFAULT_HOST, choice.tls, environ, config, is_default=not named)


def environment_host(environ: Mapping[str, str]) -> str:
    """CORTEN_HOST goes before DOCKER_HOST."""
    return environ.get("CORTEN_HOST") or environ.get("DOCKER_HOST") or ""


def context_name(choice: Choice, environ: Mapping[str, str], config: ConfigFile) -> str:
    """The context in force; `default` stands for `-H`, the environment or Corten's socket."""
    if choice.context:
        return choice.context
    if choice.host or environment_host(environ):
        return DEFAULT
    return environ.get("DOCKER_CONTEXT") or config.text("currentContext") or DEFAULT


def _from_context(name: str, config: ConfigFile) -> Endpoint:
    try:
        context = ContextStore(config.folder).get(name)
    except ContextMissing as missing:
        raise BadEndpoint(f"Failed to initialize: unable to resolve docker endpoint: {missing}") from None
    address = _address(context.host or DEFAULT_HOST, tls=bool(context.tls))
    return Endpoint(str(address), address, _context_tls(context, address), name, is_default=False)


def _context_tls(context: Context, address: Address) -> TlsFiles | None:
    if address.scheme != "tcp" or not context.tls:
        return None
    ca, cert, key = (context.tls.get(f"{n}.pem", "") for n in ("ca", "cert", "key"))
    return TlsFiles(ca, cert, key, verify=not context.skip_verify)


def _from_host(host: str, choice: TlsChoice, environ: Mapping[str, str], config: ConfigFile, *, is_default: bool) -> Endpoint:
    verify = choice.verify or bool(environ.get("DOCKER_TLS_VERIFY"))
    use = choice.use or verify or bool(environ.get("DOCKER_TLS")) or bool(choice.ca or choice.cert or choice.key)
    address = _address(host, tls=use)
    tls = None
    if use and address.scheme == "tcp":
        folder = environ.get("DOCKER_CERT_PATH") or config.folder
        ca, cert, key = (
            given or _existing(folder, name) for given, name in zip(choice[2:], ("ca.pem", "cert.pem", "key.pem"), strict=True)
        )
        tls = TlsFiles(ca if verify or choice.ca else "", cert, key, verify)
    shown = host if "://" in host else str(address)
    return Endpoint(shown, address, tls, DEFAULT, is_default)


def _existing(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    return path if os.path.exists(path) else ""


def _address(host: str, *, tls: bool) -> Address:
    try:
        address = parse_address(host, tls=tls)
    except Invalid as error:
        raise BadEndpoint(f"Failed to initialize: unable to resolve docker endpoint: {error.message}") from None
    if address.scheme == "fd":
        raise BadEndpoint(f"Failed to initialize: unable to resolve docker endpoint: invalid bind address format: {host}")
    return address
