"""Which hosts answer for a registry's name, and how to reach them.

Three sources, in this order: `certs.d/HOST/hosts.toml` (containerd's form: other hosts, capabilities, own CA), the daemon's
`registry-mirrors` (for docker.io only, as in Docker) and `insecure-registries`, and the name itself. `certs.d/HOST/*.crt`,
`*.cert` and `*.key` (Docker's form) name the CA and the client's certificate. Loopback addresses count as insecure, as in
Docker: https is tried first, plain http then.
"""

import ipaddress
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from corten.errors import Invalid
from corten.registry.endpoint import Endpoint
from corten.registry.hostsfile import parse_hosts
from corten.registry.proxies import ProxySettings
from corten.registry.retry import RetryPolicy

DOCKER_HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"
DIRECT = ProxySettings()
PATIENT = RetryPolicy()
CERTS_D = (Path("/etc/corten/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The daemon's settings: `--registry-mirror`, `--insecure-registry`, where certs.d folders lie, proxies, patience.

    `connections`: requests that one pull has under way at a time.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    certs_d: tuple[Path, ...] = CERTS_D
    proxies: ProxySettings = DIRECT
    connections: int = 6
    retry: RetryPolicy = PATIENT


def endpoints(domain: str, settings: RegistrySettings, *, push: bool = False) -> tuple[Endpoint, ...]:
    """Where to ask for `domain` (`docker.io`, `nvcr.io`, `127.0.0.1:5000`), best first. Never empty.

    Raises Invalid for an unreadable hosts.toml.
    """
    own = own_endpoints(domain, settings)
    configured = _hosts_toml(domain, settings)
    if configured is None:
        mirrors = [] if push or domain != DOCKER_HUB else [_mirror(url, settings) for url in settings.mirrors]
        return (*mirrors, *own)
    hosts = [e for e in configured if (e.can_push if push else e.can_pull)]
    return tuple(hosts) or own


def is_insecure(domain: str, settings: RegistrySettings) -> bool:
    """Loopback, or named (host, host:port or network) in `insecure-registries`."""
    host = _hostname(domain)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in settings.insecure:
        if entry in (domain, host):
            return True
        if address is not None and _holds(entry, address):
            return True
    return False


def own_endpoints(domain: str, settings: RegistrySettings, *, host: str = "") -> tuple[Endpoint, ...]:
    """The registry's own, without mirrors: https, then http for an insecure one. `host` is where it lives, if not under its name."""
    host = host or (HUB_HOST if domain == DOCKER_HUB else domain)
    secure = _with_certificates(Endpoint(f"https://{host}"), domain, settings.certs_d)
    if not is_insecure(domain, settings):
        return (secure,)
    return (replace(secure, verify=False), Endpoint(f"http://{host}"))


def _mirror(url: str, settings: RegistrySettings) -> Endpoint:
    """A mirror's certificates lie under its own name, as in Docker."""
    base = Endpoint(url.rstrip("/"), can_push=False, credentials=False)
    base = _with_certificates(base, base.host, settings.certs_d)
    return replace(base, verify=not is_insecure(base.host, settings))


def _with_certificates(endpoint: Endpoint, domain: str, folders: Iterable[Path]) -> Endpoint:
    for folder in folders:
        here = folder / domain
        authorities = sorted(here.glob("*.crt"))
        client = sorted(here.glob("*.cert"))
        if authorities:
            endpoint = replace(endpoint, ca_files=tuple(map(str, authorities)))
        if client:
            endpoint = replace(endpoint, client_cert=(str(client[0]), str(client[0].with_suffix(".key"))))
    return endpoint


def _hosts_toml(domain: str, settings: RegistrySettings) -> list[Endpoint] | None:
    for folder in settings.certs_d:
        path = folder / domain / "hosts.toml"
        try:
            text = path.read_text()
        except OSError:
            continue
        try:
            return parse_hosts(tomllib.loads(text), path.parent, own_endpoints(domain, settings))
        except (tomllib.TOMLDecodeError, TypeError, ValueError, AttributeError) as error:
            raise Invalid(f"{path}: {error}", reason="bad-hosts-toml", hint="see containerd's hosts.md for the form") from error
    return None


def _hostname(domain: str) -> str:
    return domain[1:].partition("]")[0] if domain.startswith("[") else domain.partition(":")[0]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return "/" in network and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
