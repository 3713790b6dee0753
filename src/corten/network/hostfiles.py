"""A container's /etc/hosts, /etc/hostname and /etc/resolv.conf, as Docker writes them. Pure but for `read_host_resolver` and `edit`."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from corten.errors import Invalid

logger = logging.getLogger("corten.network")
LOCAL_LINES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
EMBEDDED_SERVER = "127.0.0.11"
_FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")
_RESOLV_CONF = "/etc/resolv.conf"
_SYSTEMD_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says (resolv.conf(5)); the last `search` or `domain` line wins."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@lru_cache(maxsize=8)
def parse_resolv_conf(text: str) -> Resolver:
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return Resolver(tuple(servers), search, tuple(options))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def is_local_server(server: str) -> bool:
    """A server that only the host's own namespace can reach (127.0.0.53, ::1). What is no address is not local."""
    try:
        return ip_address(server.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def read_host_resolver(path: str = _RESOLV_CONF, behind_stub: str = _SYSTEMD_RESOLV_CONF) -> Resolver:
    """The host's resolver; where it only names systemd's stub, the servers behind that stub."""
    resolver = parse_resolv_conf(_read(path))
    if resolver.servers == ("127.0.0.53",):
        behind = parse_resolv_conf(_read(behind_stub))
        if behind.servers:
            return behind
    return resolver


def override(host: Resolver, *, servers: Sequence[str], search: Sequence[str], options: Sequence[str]) -> Resolver:
    """The host's resolver with what the user said in its place. A search list of "." means none."""
    return Resolver(
        tuple(servers) or host.servers,
        () if tuple(search) == (".",) else tuple(search) or host.search,
        tuple(options) or host.options,
    )


def without_local_servers(resolver: Resolver) -> Resolver:
    """For a container in a namespace of its own. With nothing left, public servers, as Docker does."""
    servers = tuple(server for server in resolver.servers if not is_local_server(server))
    return Resolver(servers or _FALLBACK_SERVERS, resolver.search, resolver.options)


def behind_embedded_server(resolver: Resolver) -> Resolver:
    """For a container whose names our own server answers. ndots:0: a bare container name is asked as it is."""
    options = resolver.options
    if not any(option.startswith("ndots:") for option in options):
        options = (*options, "ndots:0")
    return Resolver((EMBEDDED_SERVER,), resolver.search, options)


def format_resolv_conf(resolver: Resolver) -> str:
    lines = ["# Written by Corten when the container started; edit it as you like, it is not written again while it runs."]
    lines += [f"nameserver {server}" for server in resolver.servers]
    if resolver.search:
        lines.append("search " + " ".join(resolver.search))
    if resolver.options:
        lines.append("options " + " ".join(resolver.options))
    return "\n".join(lines) + "\n"


def parse_extra_host(text: str) -> tuple[str, str]:
    """`--add-host`: "name:address" or "name=address" -> (name, address). The address may be host-gateway, or IPv6 in brackets."""
    separator = "=" if "=" in text else ":"
    name, found, address = text.partition(separator)
    address = address.removeprefix("[").removesuffix("]")
    if not found or not name:
        raise Invalid(f'bad format for add-host: "{text}"', reason="bad-extra-host")
    if address != "host-gateway":
        try:
            ip_address(address)
        except ValueError as error:
            raise Invalid(f'invalid IP address in add-host: "{address}"', reason="bad-extra-host") from error
    return name, address


def resolve_extra_hosts(texts: Iterable[str], gateways: Sequence[str]) -> list[tuple[str, str]]:
    """(address, name) lines of --add-host; `host-gateway` stands for each of `gateways`."""
    lines: list[tuple[str, str]] = []
    for text in texts:
        name, address = parse_extra_host(text)
        if address != "host-gateway":
            lines.append((address, name))
            continue
        if not gateways:
            raise Invalid("unable to derive the IP value for host-gateway", reason="no-host-gateway")
        lines += [(gateway, name) for gateway in gateways]
    return lines


def format_hosts(lines: Iterable[tuple[str, str]]) -> str:
    """`lines` follow the local ones."""
    return "".join(f"{address}\t{names}\n" for address, names in (*LOCAL_LINES, *lines))


def append_hosts(text: str, lines: Iterable[tuple[str, str]]) -> str:
    """The host's own file (network mode host) with more lines behind it."""
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f"{address}\t{names}\n" for address, names in lines)


def own_lines(addresses: Iterable[str], hostname: str, domainname: str) -> list[tuple[str, str]]:
    """The container's own names for each of its addresses."""
    names = f"{hostname}.{domainname}" if domainname else hostname
    if "." in names:
        names = f"{names} {names.split('.', 1)[0]}"
    return [(address, names) for address in addresses if address]


def without_hosts(text: str, addresses: Iterable[str]) -> str:
    """A hosts file without the lines of these addresses; everything else, also what the container wrote, stays as it is."""
    gone = set(addresses)
    return "".join(line for line in text.splitlines(keepends=True) if not line.split() or line.split()[0] not in gone)


def with_linked(text: str, alias: str, addresses: Sequence[str], names: str) -> str:
    """A hosts file whose lines of a linked container (`alias` is their first name) say these addresses; without any they go."""
    found: list[str] = []
    wanted = [f"{address}\t{names}\n" for address in addresses]
    for line in text.splitlines(keepends=True):
        if line.split()[1:2] != [alias]:
            found.append(line)
        else:
            found += wanted
            wanted = []
    return "".join(found)


def edit(path: str, change: Callable[[str], str]) -> None:
    """Change a file in place: a running container has this very file mounted. A failure is logged only."""
    try:
        with open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
            old = file.read()
            new = change(old)
            if new != old:
                file.seek(0)
                file.truncate()
                file.write(new)
    except OSError as error:
        logger.warning("%s stays as it was: %s", path, error)
