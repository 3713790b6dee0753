"""Networks and names: `--network` with its long form, `--add-host`, `--dns`, `--link`."""

from collections.abc import Sequence
from typing import Any

from corten.cli.flags import Values
from corten.cli.kinds import checked, csv_fields, integer
from corten.cli.options.ports import is_ip

Json = dict[str, Any]
BUILT_IN = frozenset({"default", "bridge", "host", "none"})
EMPTY_ENDPOINT: Json = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "MacAddress": "",
    "DriverOpts": None,
    "GwPriority": 0,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}


class Attachment:
    """One `--network`: a name or mode and what was said about the endpoint there."""

    __slots__ = ("aliases", "driver_options", "ip", "ip6", "link_local", "links", "mac", "priority", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self.aliases: list[str] = []
        self.driver_options: dict[str, str] = {}
        self.ip = ""
        self.ip6 = ""
        self.mac = ""
        self.link_local: list[str] = []
        self.links: list[str] = []
        self.priority = 0

    def is_user_defined(self) -> bool:
        return self.target not in BUILT_IN and not self.target.startswith("container:")

    def endpoint(self) -> Json:
        """As the API's EndpointSettings."""
        addresses: Json = {}
        for key, value in (("IPv4Address", self.ip), ("IPv6Address", self.ip6), ("LinkLocalIPs", self.link_local)):
            if value:
                addresses[key] = value
        return EMPTY_ENDPOINT | {
            "IPAMConfig": addresses or None,
            "Links": self.links or None,
            "Aliases": self.aliases or None,
            "MacAddress": self.mac,
            "DriverOpts": self.driver_options or None,
            "GwPriority": self.priority,
        }


def parse_network(text: str) -> Attachment:
    """`NAME`, or `name=NAME,alias=…,ip=…,ip6=…,mac-address=…,link-local-ip=…,driver-opt=…,gw-priority=…`."""
    if "=" not in text and "," not in text:
        return Attachment(text)
    attachment = Attachment("")
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid field {field}")
        _set(attachment, key.strip().lower(), value.strip())
    if not attachment.target:
        raise ValueError("network name/id is not specified")
    return attachment


def _set(attachment: Attachment, key: str, value: str) -> None:
    match key:
        case "name":
            attachment.target = value
        case "alias":
            attachment.aliases.append(value)
        case "ip":
            attachment.ip = value
        case "ip6":
            attachment.ip6 = value
        case "mac-address":
            attachment.mac = value
        case "link-local-ip":
            attachment.link_local.append(value)
        case "driver-opt":
            name, equals, content = value.partition("=")
            if not equals:
                raise ValueError(f"invalid key value pair format in driver options: {value}")
            attachment.driver_options[name.strip()] = content.strip()
        case "gw-priority":
            attachment.priority = integer(64)(value)
        case _:
            raise ValueError(f"invalid field key {key}")


def attachments(values: Values) -> list[Attachment]:
    """All `--network`, the first of which also gets what `--ip`, `--network-alias` and the like say."""
    found: list[Attachment] = values.items("network") or [Attachment("default")]
    _check(found, values)
    first = found[0]
    for flag, key, label in (("ip", "ip", "IPv4 address"), ("ip6", "ip6", "IPv6 address"), ("mac-address", "mac", "MAC address")):
        if value := values.text(flag):
            if {"ip": first.ip, "ip6": first.ip6, "mac": first.mac}[key]:
                raise _conflict(flag, label)
            _set(first, flag, value)
    if (links := values.texts("link")) and first.is_user_defined():
        first.links = links
    if aliases := values.texts("network-alias"):
        if first.aliases:
            raise _conflict("network-alias", "alias")
        first.aliases = aliases
    if link_local := values.texts("link-local-ip"):
        if first.link_local:
            raise _conflict("link-local-ip", "link-local IP addresses")
        first.link_local = link_local
    return found


def _conflict(flag: str, what: str) -> ValueError:
    return ValueError(f"conflicting options: cannot specify both --{flag} and per-network {what}")


def _check(found: Sequence[Attachment], values: Values) -> None:
    seen: set[str] = set()
    for network in found:
        if not network.target:
            raise ValueError("no name set for network")
        if network.target in seen:
            raise ValueError(f'network "{network.target}" is specified multiple times')
        seen.add(network.target)
    if len(found) > 1 and not all(n.is_user_defined() for n in found):
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    if not found[0].is_user_defined() and values.items("network-alias"):
        raise ValueError("network-scoped aliases are only supported for user-defined networks")


def endpoints(found: Sequence[Attachment], *, named: bool) -> dict[str, Json]:
    """The API's EndpointsConfig. Modes such as host have none; `named` is whether `--network` was given at all."""
    return {n.target: n.endpoint() for n in found if n.is_user_defined() or not named or _says_something(n)}


def _says_something(network: Attachment) -> bool:
    return network.endpoint() != EMPTY_ENDPOINT


def parse_extra_host(text: str) -> str:
    """`name:ip` or `name=ip` as `name:ip`; `host-gateway` stands for the host."""
    name, separator, address = text.partition("=" if "=" in text else ":")
    if not separator or not name:
        raise ValueError(f'bad format for add-host: "{text}"')
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if bare != "host-gateway" and not is_ip(bare):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{bare}"


def parse_ip(text: str) -> str:
    if not is_ip(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text.strip()}")
    return text.strip()


def parse_search_domain(text: str) -> str:
    """A domain to search, or "." for none."""
    domain = text.strip()
    if domain == ".":
        return domain
    labels = domain.removesuffix(".").split(".")
    sound = all(label.replace("-", "").isalnum() and label.isascii() and label[0] != "-" and label[-1] != "-" for label in labels)
    if not sound or not any(c.isalpha() for c in domain):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def parse_link(text: str) -> str:
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def check_mac(text: str) -> None:
    groups = text.replace("-", ":").split(":")
    if text and not (len(groups) in {6, 8, 20} and all(len(g) == 2 and set(g.lower()) <= set("0123456789abcdef") for g in groups)):
        raise ValueError(f"{text} is not a valid mac address")


NETWORKS = checked(parse_network, "network")
EXTRA_HOSTS = checked(parse_extra_host)
ADDRESSES = checked(parse_ip)
SEARCH_DOMAINS = checked(parse_search_domain)
LINKS = checked(parse_link)
