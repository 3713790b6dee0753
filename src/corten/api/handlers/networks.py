"""`/networks`: the wire's side of `corten.engine.networks`."""

from corten.api.request import Request
from corten.api.types.endpoints import to_endpoint_config
from corten.api.types.networks import (
    ConfigFromBody,
    IpamBody,
    IpamPoolBody,
    NetworkAnswer,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworkMember,
)
from corten.api.wire import json_response
from corten.engine.networks.filters import FILTERS, select
from corten.engine.networks.network import IpamPool, Network, NetworkRequest
from corten.engine.networks.networks import Member
from corten.engine.protection import check_labels
from corten.engine.timestamps import format_moment
from corten.errors import NotFound
from corten.http.response import Reply, Response


async def network_list(request: Request) -> Reply:
    filters = request.filters(*FILTERS)
    networks = request.app.networks
    found = select(list(networks.catalog), filters, used=lambda network: bool(networks.members(network)))
    return json_response([answer(network, []) for network in found])


async def network_create(request: Request) -> Reply:
    network = await request.app.networks.create(to_request(await request.json(NetworkCreate)))
    return json_response(NetworkCreated(id=network.id), 201)


async def network_inspect(request: Request) -> Reply:
    network = request.app.networks.catalog.get(request.params["id"])
    if request.text("scope") not in ("", "local"):
        raise NotFound(f"network {request.params['id']} not found", reason="no-such-network")
    return json_response(answer(network, request.app.networks.members(network)))


async def network_remove(request: Request) -> Reply:
    network = request.app.networks.catalog.get(request.params["id"])
    if not request.flag("force-protected"):
        check_labels(f"network {network.name}", network.labels)
    await request.app.networks.remove(network.id)
    return Response(204)


async def network_connect(request: Request) -> Reply:
    body = await request.json(NetworkConnect)
    config = to_endpoint_config(request.params["id"], body.endpoint_config)
    await request.app.connections.connect(request.params["id"], body.container or "", config)
    return Response(200)


async def network_disconnect(request: Request) -> Reply:
    body = await request.json(NetworkDisconnect)
    await request.app.connections.disconnect(request.params["id"], body.container or "", force=bool(body.force))
    return Response(200)


def to_request(body: NetworkCreate) -> NetworkRequest:
    ipam = body.ipam or IpamBody()
    return NetworkRequest(
        name=body.name or "",
        driver=body.driver or "",
        enable_ipv4=body.enable_ipv4,
        enable_ipv6=body.enable_ipv6,
        internal=bool(body.internal),
        attachable=bool(body.attachable),
        ingress=bool(body.ingress),
        scope=body.scope or "",
        options=body.options or {},
        labels=body.labels or {},
        ipam_driver=ipam.driver or "",
        ipam_options=ipam.options,
        pools=tuple(
            IpamPool(
                subnet=pool.subnet or "",
                ip_range=pool.ip_range or "",
                gateway=pool.gateway or "",
                aux_addresses=pool.auxiliary_addresses or {},
            )
            for pool in ipam.config or ()
            if pool != IpamPoolBody()
        ),
        config_only=bool(body.config_only),
        config_from=(body.config_from.network or "") if body.config_from else "",
    )


def answer(network: Network, members: list[Member]) -> NetworkAnswer:
    pools = [
        IpamPoolBody(
            subnet=pool.subnet,
            ip_range=pool.ip_range or None,
            gateway=pool.gateway or None,
            auxiliary_addresses=dict(pool.aux_addresses) or None,
        )
        for pool in network.pools
    ]
    has_pools = network.driver not in ("host", "null") or network.config_only
    return NetworkAnswer(
        name=network.name,
        id=network.id,
        created=format_moment(network.created),
        scope="local",
        driver=network.driver,
        enable_ipv4=network.enable_ipv4,
        enable_ipv6=network.enable_ipv6,
        ipam=IpamBody(
            driver=network.ipam_driver,
            options=network.ipam_options,
            config=pools if has_pools else None,
        ),
        internal=network.internal,
        attachable=network.attachable,
        ingress=False,
        config_from=ConfigFromBody(network=network.config_from),
        config_only=network.config_only,
        containers={member.container_id: _member(member) for member in members},
        options=dict(network.options),
        labels=dict(network.labels),
    )


def _member(member: Member) -> NetworkMember:
    endpoint = member.endpoint
    return NetworkMember(
        name=member.name,
        endpoint_id=endpoint.endpoint_id,
        mac_address=endpoint.mac_address,
        ipv4_address=f"{endpoint.ip_address}/{endpoint.ip_prefix_len}" if endpoint.ip_address else "",
        ipv6_address=f"{endpoint.global_ipv6_address}/{endpoint.global_ipv6_prefix_len}" if endpoint.global_ipv6_address else "",
    )
