"""`network create`."""

from collections.abc import Sequence
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, MAP, STRING, STRINGS
from corten.cli.options.environment import LABEL, labels
from corten.cli.session import Action, Session

Json = dict[str, Any]
SWARM = "Corten has no swarm mode"


def create(session: Session, values: Values, arguments: list[str]) -> int:
    body: Json = {
        "Name": arguments[0],
        "Driver": values.text("driver"),
        "Scope": values.text("scope"),
        "IPAM": {
            "Driver": values.text("ipam-driver"),
            "Options": dict(values.items("ipam-opt")),
            "Config": address_pools(
                values.texts("subnet"), values.texts("ip-range"), values.texts("gateway"), dict(values.items("aux-address"))
            ),
        },
        "Internal": values.on("internal"),
        "Attachable": values.on("attachable"),
        "Ingress": values.on("ingress"),
        "ConfigOnly": values.on("config-only"),
        "ConfigFrom": {"Network": values.text("config-from")} if values.text("config-from") else None,
        "Options": dict(values.items("opt")),
        "Labels": labels(values.texts("label"), ()),
    }
    for flag, key in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if values.given(flag):
            body[key] = values.on(flag)
    made = session.api.post("/networks/create", body=body)
    if made.get("Warning"):
        session.warn(f"WARNING: {made['Warning']}")
    session.say(made["Id"])
    return 0


def address_pools(subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], auxiliary: dict[str, str]) -> list[Json]:
    """One pool per subnet; ranges, gateways and reserved addresses go to the subnet that holds them. Raises Failure."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise Failure("every ip-range or gateway must have a corresponding subnet")
    try:
        networks = _parsed(subnets)
        pools: dict[str, Json] = {text: {"Subnet": text} for text in networks}
        for key, what, items in (("IPRange", "range", ranges), ("Gateway", "gateway", gateways)):
            for item in items:
                pool = _holding(pools, networks, item.partition("/")[0], f"{what} {item}")
                if key in pool:
                    raise Failure(f"cannot configure multiple {what}s ({item}, {pool[key]}) on the same subnet")
                pool[key] = item
        for name, address in auxiliary.items():
            _holding(pools, networks, address, f"aux-address {address}").setdefault("AuxiliaryAddresses", {})[name] = address
    except ValueError:
        if len(subnets) <= 1 and not (ranges or gateways or auxiliary):
            return [{"Subnet": text} for text in subnets]  # the engine says best what is wrong with it
        raise Failure(f"invalid CIDR address: {' '.join([*subnets, *ranges, *gateways])}") from None
    return list(pools.values())


def _parsed(subnets: Sequence[str]) -> dict[str, Any]:
    """Networks by their text. Raises Failure for ones that overlap, ValueError for what is none."""
    import ipaddress

    networks: dict[str, Any] = {}
    for text in subnets:
        network = ipaddress.ip_network(text, strict=False)
        if any(network.version == other.version and network.overlaps(other) for other in networks.values()):
            raise Failure("multiple overlapping subnet configuration is not supported")
        networks[text] = network
    return networks


def _holding(pools: dict[str, Json], networks: dict[str, Any], address: str, shown: str) -> Json:
    import ipaddress

    wanted = ipaddress.ip_address(address)
    for text, network in networks.items():
        if wanted in network:
            return pools[text]
    raise Failure(f"no matching subnet for {shown}")


CREATE = Action(
    create,
    (
        Flag("attachable", BOOL, "Accepted for Docker's sake"),
        Flag("aux-address", MAP, "Address that is taken already (name=address)"),
        Flag("config-from", STRING, "Network to take the configuration from"),
        Flag("config-only", BOOL, "Only keep a configuration"),
        Flag("driver", STRING, "Driver (bridge, macvlan, ipvlan)", short="d", default="bridge"),
        Flag("gateway", STRINGS, "Gateway of the subnet"),
        Flag("ingress", BOOL, "Routing mesh", refusal=SWARM).hide(),
        Flag("internal", BOOL, "No way out of the network"),
        Flag("ip-range", STRINGS, "Part of the subnet to take addresses from"),
        Flag("ipam-driver", STRING, "Driver of the address management", default="default"),
        Flag("ipam-opt", MAP, "Option of the address management (name=value)"),
        Flag("ipv4", BOOL, "Give IPv4 addresses", default=True),
        Flag("ipv6", BOOL, "Give IPv6 addresses"),
        Flag("label", LABEL, "Label (key=value)"),
        Flag("opt", MAP, "Option of the driver (name=value)", short="o"),
        Flag("scope", STRING, "Scope of the network"),
        Flag("subnet", STRINGS, "Subnet (10.1.0.0/16)"),
    ),
)
