"""Bodies and answers of the network calls."""

from msgspec import field

from corten.api.types.endpoints import EndpointBody
from corten.api.wire import AnswerStruct, WireStruct


class IpamPoolBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    subnet: str | None = None
    ip_range: str | None = field(name="IPRange", default=None)
    gateway: str | None = None
    auxiliary_addresses: dict[str, str] | None = None


class IpamBody(WireStruct, frozen=True, kw_only=True):
    driver: str | None = None
    options: dict[str, str] | None = None
    config: list[IpamPoolBody] | None = None


class ConfigFromBody(WireStruct, frozen=True, kw_only=True):
    network: str | None = None


class NetworkCreate(WireStruct, frozen=True, kw_only=True):
    name: str | None = None
    check_duplicate: bool | None = None
    driver: str | None = None
    scope: str | None = None
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: IpamBody | None = field(name="IPAM", default=None)
    internal: bool | None = None
    attachable: bool | None = None
    ingress: bool | None = None
    config_only: bool | None = None
    config_from: ConfigFromBody | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkConnect(WireStruct, frozen=True, kw_only=True):
    container: str | None = None
    endpoint_config: EndpointBody | None = None


class NetworkDisconnect(WireStruct, frozen=True, kw_only=True):
    container: str | None = None
    force: bool | None = None


class NetworkCreated(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")
    warning: str = ""


class NetworkMember(AnswerStruct, frozen=True, kw_only=True):
    name: str
    endpoint_id: str
    mac_address: str
    ipv4_address: str
    ipv6_address: str


class NetworkAnswer(AnswerStruct, frozen=True, kw_only=True):
    name: str
    id: str = field(name="Id")
    created: str
    scope: str
    driver: str
    enable_ipv4: bool
    enable_ipv6: bool
    ipam: IpamBody = field(name="IPAM")
    internal: bool
    attachable: bool
    ingress: bool
    config_from: ConfigFromBody
    config_only: bool
    containers: dict[str, NetworkMember]
    options: dict[str, str] | None
    labels: dict[str, str] | None
